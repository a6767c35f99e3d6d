//! The data plane.
//!
//! - [`config`]: its settings, each with unit and default.
//! - `follower`: the tenants, kept in memory and in a file, followed without restart.
//! - `audit`: the spool: durable before the client's answer, shipped to the catalog; `tallies`: what is permitted, counted.
//! - `service`: pingora owns the process's life: signals, listeners and their hand-over at an upgrade.
//! - `loops`: the threads that serve clients, each with an event loop of its own.
//! - `listener`: accepts clients; `tls`, `stream`, `startup`, `login`, `throttle`: let them in; `clients`: who is in, and cancel keys; `peers`: the
//!   other proxies.
//! - `session`: judges and relays; `verdicts`: what was decided about a text; `statements`, `settings`, `pins`: what a
//!   session has, and how it follows its client from one server connection to the next.
//! - `buffers`: memory that sessions use in turn.
//! - `pool`: server connections of one login of one tenant; `server`: one of them; `upstream`: the way to
//!   PostgreSQL; `cancel`: a cancel on its way.
//! - `rename`: physical names never reach a client; `types`: nor do other tenants' types.
//! - `timeouts`: clients that take too long; `rate`: tenants that do too much.
//! - `measured`: what is measured and fuzzed of the inside.
//! - `metrics`, `http`, `console`: what can be seen from outside.
//!
//! A server connection is authenticated as one tenant's role and serves one pool for its whole life. A client holds one
//! for a transaction, or longer while it has state there that cannot be moved.
//!
//! Invariants: no text reaches a server that was not judged; a denied text is replaced by one that PostgreSQL refuses,
//! so that PostgreSQL itself keeps transactions, order and error recovery right, and its refusal is replaced by ours; a
//! connection is handed on only when every answer has come, no transaction is open and nothing pins it.

pub mod config;
#[doc(hidden)]
pub mod measured;

mod audit;
mod buffers;
mod cancel;
mod clients;
mod clock;
mod console;
mod follower;
mod http;
mod listener;
mod login;
mod loops;
mod metrics;
mod peers;
mod pins;
mod policy;
mod pool;
mod rate;
mod rename;
mod server;
mod service;
mod session;
mod settings;
mod startup;
mod statements;
mod stream;
mod tallies;
mod throttle;
mod timeouts;
mod tls;
mod types;
mod upstream;
mod verdicts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use palisade_catalog::secrets::MasterKey;
use palisade_catalog::snapshot::Snapshot;
use palisade_policies::Limits;
use tokio::net::TcpListener;
use tokio::sync::watch;

use config::ProxyConfig;

/// Stack of a thread that reads SQL, in bytes. Virtual memory: touched only as far as a statement nests.
pub const STACK_BYTES: usize = 64 << 20;

/// Why the proxy cannot start, in a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is taken.
    #[error("the proxy cannot listen on {0}: {1}; stop what uses it or set [proxy] {2}")]
    Listen(SocketAddr, std::io::Error, &'static str),
    /// The audit spool cannot be written.
    #[error("the audit spool {0}: {1}; without it nothing can be refused on record")]
    Spool(std::path::PathBuf, std::io::Error),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] palisade_policies::PolicyError),
    /// The console's password cannot be read.
    #[error("the console's password {0}: {1}; set [proxy] admin_password_file")]
    Password(std::path::PathBuf, std::io::Error),
    /// The keys of tokens cannot be read.
    #[error("[proxy.jwt] {0}")]
    Tokens(String),
    /// TLS was asked for and cannot be offered.
    #[error("TLS to clients: {0}")]
    Tls(#[from] tls::TlsError),
    /// The way to PostgreSQL cannot be prepared.
    #[error(transparent)]
    Upstream(#[from] upstream::UpstreamError),
    /// A metric is registered twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The server's thread cannot be started.
    #[error("a thread of the server: {0}")]
    Thread(std::io::Error),
}

/// What every session shares.
pub(crate) struct Shared {
    config: ArcSwap<ProxyConfig>,
    reread: Reread,
    pub(crate) master: MasterKey,
    pub(crate) policy: ArcSwap<policy::Policy>,
    pub(crate) tenants: ArcSwap<Snapshot>,
    /// Whether the catalog was asked once since the start: until then the tenants are those of the snapshot file.
    pub(crate) asked: watch::Sender<bool>,
    pub(crate) audit: audit::Audit,
    /// Statements that were counted, and could not be put on record yet.
    pub(crate) counts_lost: std::sync::atomic::AtomicU64,
    pub(crate) clients: clients::Clients,
    pub(crate) pools: pool::Pools,
    pub(crate) loops: loops::Loops,
    pub(crate) metrics: metrics::Metrics,
    pub(crate) tls: Option<tls::Tls>,
    pub(crate) bearer: Option<login::Bearer>,
    pub(crate) throttle: throttle::Throttle,
    pub(crate) upstream: Arc<upstream::Upstream>,
    /// One for each client that may come.
    pub(crate) slots: Arc<tokio::sync::Semaphore>,
    /// A new process has taken the listeners over.
    pub(crate) upgrading: AtomicBool,
}

/// Reads the configuration again: a sentence for the operator where it cannot be used.
pub type Reread = Box<dyn Fn() -> Result<ProxyConfig, String> + Send + Sync>;

impl Shared {
    /// The settings of the day.
    pub(crate) fn config(&self) -> arc_swap::Guard<Arc<ProxyConfig>> {
        self.config.load()
    }

    /// Limits of what is read.
    pub(crate) fn limits(&self) -> Limits {
        Limits { statement_bytes: self.config().max_statement_bytes, ..Limits::default() }
    }

    /// Clients that are not let in yet.
    pub(crate) fn clients_logging_in(&self) -> usize {
        let taken = self.config().max_client_connections.saturating_sub(self.slots.available_permits());
        taken.saturating_sub(self.clients.len())
    }

    /// Takes the configuration in anew. What needs a restart is refused by name, and nothing is changed.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let new = (self.reread)()?;
        let old = self.config.load_full();
        let fixed = old.differing(&new).into_iter().filter(|key| ProxyConfig::needs_restart(key));
        let fixed: Vec<_> = fixed.collect();
        if !fixed.is_empty() {
            return Err(format!("nothing was changed: {} cannot change without a restart", fixed.join(", ")));
        }
        if old.differing(&new).is_empty() {
            return Ok(());
        }
        self.pools.resize(old.max_server_connections, new.max_server_connections);
        pool::resize(&self.slots, old.max_client_connections, new.max_client_connections);
        self.throttle.limit(&new);
        self.config.store(Arc::new(new));
        // Clients go on in pools that know the new settings.
        self.pools.renew();
        tracing::info!("the configuration was taken in anew");
        Ok(())
    }
}

/// Reloads at every SIGHUP, for ever.
async fn hangups(shared: Arc<Shared>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        if let Err(error) = shared.reload() {
            tracing::error!(error, "the configuration cannot be taken in anew; the old one stays");
        }
    }
}

/// A proxy that serves.
pub struct Proxy {
    shared: Arc<Shared>,
    server: service::Running,
    http: TcpListener,
    /// The console's listener and password, where it is wanted.
    console: Option<(TcpListener, String)>,
}

impl Proxy {
    /// Opens the spool, loads the last tenants, takes the addresses (from the process that is replaced, where `upgrade`
    /// says so) and accepts clients. Must be called on threads with a stack of [`STACK_BYTES`].
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: ProxyConfig,
        reread: Reread,
        master: MasterKey,
        upgrade: bool,
    ) -> Result<Self, StartError> {
        let audit = audit::Audit::open(&config.spool_dir, config.spool_max_bytes)
            .map_err(|e| StartError::Spool(config.spool_dir.clone(), e))?;
        let http = http::bind(config.metrics_listen)
            .map_err(|e| StartError::Listen(config.metrics_listen, e, "metrics_listen"))?;
        let console = console(&config)?;
        let snapshot = follower::load(&config.snapshot_file);
        let shared = Arc::new(Shared {
            asked: watch::Sender::new(false),
            policy: ArcSwap::from_pointee(policy::Policy::new(&snapshot.policy)?),
            tenants: ArcSwap::from_pointee(snapshot),
            audit,
            counts_lost: std::sync::atomic::AtomicU64::new(0),
            clients: clients::Clients::new(config.peer_id),
            bearer: login::Bearer::new(&config.jwt).map_err(StartError::Tokens)?,
            throttle: throttle::Throttle::new(&config),
            pools: pool::Pools::new(config.max_server_connections),
            loops: loops::Loops::start(config.threads).map_err(StartError::Thread)?,
            metrics: metrics::Metrics::new()?,
            tls: tls::Tls::load(&config)?,
            upstream: Arc::new(upstream::Upstream::new(&config)?),
            slots: Arc::new(tokio::sync::Semaphore::new(config.max_client_connections)),
            upgrading: AtomicBool::new(false),
            config: ArcSwap::from_pointee(config),
            reread,
            master,
        });
        let server = service::start(shared.clone(), upgrade).await?;
        Ok(Self { shared, server, http, console })
    }

    /// Serves until the shutdown is announced, or until a new process has taken over; then transactions end.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let shared = self.shared;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(follower::follow(shared.clone()));
        tasks.spawn(audit::ship(shared.clone()));
        tasks.spawn(http::serve(self.http, shared.clone()));
        if let Some((listener, password)) = self.console {
            tasks.spawn(console::serve(listener, shared.clone(), password));
        }
        let expire = shared.clone();
        tasks.spawn(async move { expire.pools.expire(&expire).await });
        tasks.spawn(hangups(shared.clone()));
        tasks.spawn(timeouts::watch(shared.clone()));
        tasks.spawn(tallies::keep(shared.clone()));
        let balance = shared.clone();
        tasks.spawn(async move {
            let thread_use = || balance.config().thread_use;
            balance.loops.balance(thread_use).await;
        });
        let certificates = shared.clone();
        tasks.spawn(async move {
            if let Some(tls) = &certificates.tls {
                tls.follow(&certificates.config.load_full()).await;
            }
        });
        let keys = shared.clone();
        tasks.spawn(async move {
            if let Some(bearer) = &keys.bearer {
                bearer.follow().await;
            }
        });
        self.server.serve(shutdown).await;
        tasks.shutdown().await;
        tallies::record(&shared).await;
        shared.loops.stop();
    }
}

/// The console's address and password, where a password is configured.
fn console(config: &ProxyConfig) -> Result<Option<(TcpListener, String)>, StartError> {
    let file = &config.admin_password_file;
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let password = std::fs::read_to_string(file).map_err(|e| StartError::Password(file.clone(), e))?;
    let listener = http::bind(config.admin_listen)
        .map_err(|e| StartError::Listen(config.admin_listen, e, "admin_listen"))?;
    Ok(Some((listener, password.trim().to_owned())))
}

/// Waits for the shutdown. A sender that is gone is one too.
pub(crate) async fn announced(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
