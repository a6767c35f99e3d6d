//! The data plane.
//!
//! - [`config`]: its settings, each with unit and default.
//! - `follower`: the tenants, kept in memory and in a file, followed without restart.
//! - `audit`: the spool: durable before the client's answer, shipped to the catalog.
//! - `listener`: accepts clients; `startup`: lets them in; `session`: judges and relays.
//! - `server`: a connection to PostgreSQL as one tenant's role; `cancel`: keys of our own.
//! - `rename`: physical names never reach a client.
//!
//! This release pools by session: a client holds one server connection, authenticated as its tenant's role, from login
//! to logout, and the connection is closed with it. Nothing of it is ever handed on.
//!
//! Invariants: no text reaches a server that was not judged; a denied text is replaced by one that PostgreSQL refuses,
//! so that PostgreSQL itself keeps transactions, order and error recovery right, and its refusal is replaced by ours.

pub mod config;

mod audit;
mod cancel;
mod follower;
mod listener;
mod rename;
mod server;
mod session;
mod startup;

use std::sync::Arc;

use arc_swap::ArcSwap;
use palisade_catalog::secrets::MasterKey;
use palisade_catalog::snapshot::Snapshot;
use palisade_policies::{Judge, Limits};
use tokio::net::TcpListener;
use tokio::sync::watch;

use config::ProxyConfig;

/// Stack of a thread that reads SQL, in bytes. Virtual memory: touched only as far as a statement nests.
pub const STACK_BYTES: usize = 64 << 20;

/// Why the proxy cannot start, in a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken.
    #[error("the proxy cannot listen on {0}: {1}; stop what uses it or set [proxy] listen")]
    Listen(std::net::SocketAddr, std::io::Error),
    /// The audit spool cannot be written.
    #[error("the audit spool {0}: {1}; without it nothing can be refused on record")]
    Spool(std::path::PathBuf, std::io::Error),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] palisade_policies::PolicyError),
}

/// What every session shares.
pub(crate) struct Shared {
    pub(crate) config: ProxyConfig,
    pub(crate) master: MasterKey,
    pub(crate) judge: Judge,
    pub(crate) limits: Limits,
    pub(crate) tenants: ArcSwap<Snapshot>,
    /// Ticks whenever `tenants` has changed.
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) audit: audit::Audit,
    pub(crate) cancels: cancel::Cancels,
    pub(crate) clients: Arc<tokio::sync::Semaphore>,
}

/// A proxy that is ready to serve.
pub struct Proxy {
    shared: Arc<Shared>,
    listener: TcpListener,
}

impl Proxy {
    /// Takes the address, opens the spool, loads the last tenants.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: ProxyConfig, master: MasterKey) -> Result<Self, StartError> {
        let listener =
            TcpListener::bind(config.listen).await.map_err(|e| StartError::Listen(config.listen, e))?;
        let audit = audit::Audit::open(&config.spool_dir)
            .map_err(|e| StartError::Spool(config.spool_dir.clone(), e))?;
        let tenants = follower::load(&config.snapshot_file);
        let clients = Arc::new(tokio::sync::Semaphore::new(config.max_client_connections));
        let shared = Shared {
            limits: Limits { statement_bytes: config.max_statement_bytes, ..Limits::default() },
            config,
            master,
            judge: Judge::embedded()?,
            tenants: ArcSwap::from_pointee(tenants),
            changed: watch::channel(0).0,
            audit,
            cancels: cancel::Cancels::default(),
            clients,
        };
        Ok(Self { shared: Arc::new(shared), listener })
    }

    /// Serves until the shutdown is announced; then sessions are ended. Must run on threads with a stack of
    /// [`STACK_BYTES`].
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let follower = tokio::spawn(follower::follow(self.shared.clone()));
        let shipper = tokio::spawn(audit::ship(self.shared.clone()));
        listener::serve(self.listener, self.shared, shutdown).await;
        follower.abort();
        shipper.abort();
    }
}

/// Waits for the shutdown. A sender that is gone is one too.
pub(crate) async fn announced(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
