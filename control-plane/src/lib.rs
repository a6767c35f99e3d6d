//! The control plane: http → domain ← store.
//!
//! - [`config`]: its settings, each with unit and default.
//! - `store`: the pool, the catalog's migrations at start.
//! - `template`, `register`, `templates`: migrations, judged and tried in a scratch schema before they may be used.
//! - `foundation`, `provision`, `verify`, `removal`: a tenant in one transaction, its verification by fingerprint and
//!   by both walls, and the removal of what failed.
//! - `warm`: tenants that are built and verified before anybody wants them.
//! - `lifecycle`, `deletion`, `purge`: suspend, resume, rotate, step back, delete, give back, drop for good.
//! - `moves`: one tenant from one template version to the next, in the tenant's own session.
//! - `reconcile`: finishes or removes what a crash left.
//! - `settings`, `plans`, `limits`: what an operator sets on tenants.
//! - `fleet`, `rollout`, `lint`: migrations of all tenants, wave by wave.
//! - `events`, `drift`: what happens to operations, how tenants differ from their template.
//! - `consoles`: the proxies' admin consoles: who is connected, ending a session.
//! - `isolation`: leak tests of the running installation, in a process of their own.
//! - `copies`, `clone`: dumps and restores through the proxy, a tenant made from another.
//! - `tokens`: API tokens for programs.
//! - `tenants`, `operations`, `audit`, `usage`: queries.
//! - `sealer`, `retention`, `forward`: the audit trail is numbered and signed, deleted by rule, given to other sinks.
//! - `integrity`: whether the newest stretch of the trail is what was signed.
//! - `metrics`: what Prometheus scrapes, on an address of its own.
//! - [`http`]: the API.
//!
//! Invariants: every change of a tenant and its audit row commit in one transaction; nothing that is not verified is
//! `active`; no secret is stored, only its verifier.

pub mod config;
pub mod http;

mod audit;
mod clone;
mod consoles;
mod copies;
mod deep;
mod deletion;
mod drift;
mod events;
mod fleet;
mod forward;
mod foundation;
mod installation;
mod integrity;
mod isolation;
mod lifecycle;
mod limits;
mod lint;
mod logins;
mod metrics;
mod moves;
mod operations;
mod plans;
mod policies;
mod postgres;
mod provision;
mod purge;
mod reconcile;
mod register;
mod removal;
mod retention;
mod rollout;
mod sealer;
mod settings;
mod store;
mod template;
mod templates;
mod tenants;
mod tokens;
mod usage;
mod verify;
mod warm;

use std::sync::Arc;

use palisade_catalog::secrets::MasterKey;
use palisade_policies::{Judge, Limits};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};

use config::ControlPlaneConfig;
use register::RegisterError;

/// Why the control plane cannot start, in a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The way to PostgreSQL cannot be prepared.
    #[error(transparent)]
    Postgres(#[from] postgres::PostgresError),
    /// The database does not answer, or refuses.
    #[error("the database: {0}")]
    Database(String),
    /// A migration of Palisade's own tables failed.
    #[error("a migration of the catalog failed: {0}")]
    Migration(String),
    /// The template cannot be used.
    #[error("the template: {0}")]
    Template(String),
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] palisade_policies::PolicyError),
    /// A key cannot be used.
    #[error("the key {0}")]
    Key(String),
    /// The address is taken.
    #[error("cannot listen on {0}: {1}; stop what uses it or set [control_plane] listen")]
    Listen(std::net::SocketAddr, std::io::Error),
    /// The address of the metrics is taken.
    #[error("cannot listen on {0}: {1}; stop what uses it or set [control_plane] metrics_listen")]
    MetricsListen(std::net::SocketAddr, std::io::Error),
    /// The metrics cannot be registered.
    #[error("the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What every request and task shares.
pub(crate) struct Shared {
    pub(crate) config: ControlPlaneConfig,
    pub(crate) postgres: postgres::Postgres,
    pub(crate) pool: deadpool_postgres::Pool,
    pub(crate) master: MasterKey,
    /// The policy that comes with Palisade: templates are judged by it.
    pub(crate) judge: Arc<Judge>,
    /// The judge of the policy that was last seen in force.
    pub(crate) active: parking_lot::Mutex<Arc<Judge>>,
    pub(crate) limits: Limits,
    pub(crate) tokens: http::auth::Verifier,
    pub(crate) rates: http::rates::Rates,
    /// Counts what happened to operations: watchers wake on it.
    pub(crate) happened: watch::Sender<u64>,
    /// A warm tenant was taken: the pool wants another.
    pub(crate) taken: Notify,
    /// The shutdown: watchers end on it.
    pub(crate) stopping: watch::Sender<bool>,
    /// Places for watchers.
    pub(crate) watchers: Arc<Semaphore>,
    /// Places for exports and clones.
    pub(crate) copies: Arc<Semaphore>,
    /// The place of the leak test that runs here.
    pub(crate) isolation: Arc<Semaphore>,
    pub(crate) metrics: metrics::Metrics,
}

/// Most streams of events at once.
const WATCHERS: usize = 200;
/// Longest wait for the audit trail's last checkpoint at the shutdown.
const LAST_SEAL: std::time::Duration = std::time::Duration::from_secs(5);
/// Longest wait for a leak test's clean-up at the shutdown.
const LAST_CLEANUP: std::time::Duration = std::time::Duration::from_secs(5);
/// Most exports and clones at once.
const COPIES: usize = 4;

/// A control plane that is ready to serve.
pub struct ControlPlane {
    shared: Arc<Shared>,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
}

impl ControlPlane {
    /// Connects, migrates the catalog, checks the template, takes the address, and finishes what a crash left.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: ControlPlaneConfig, master: MasterKey) -> Result<Self, StartError> {
        let tokens = http::auth::Verifier::new(&config.auth).map_err(StartError::Key)?;
        let rates = http::rates::Rates::new(config.requests_per_second);
        let limits = Limits::default();
        let judge = Arc::new(Judge::embedded()?);
        let source = source(config.clone(), judge.clone(), limits).await.map_err(StartError::Template)?;
        let listener =
            TcpListener::bind(config.listen).await.map_err(|e| StartError::Listen(config.listen, e))?;
        let metrics_listener = metrics::bind(config.metrics_listen).await?;
        let postgres = postgres::Postgres::new(&config)?;
        let pool = store::open(&config, &postgres).map_err(StartError::Database)?;
        store::migrate(&config, &postgres, &pool, &master).await?;
        let shared = Arc::new(Shared {
            config,
            postgres,
            pool,
            master,
            active: parking_lot::Mutex::new(judge.clone()),
            judge,
            limits,
            tokens,
            rates,
            happened: watch::Sender::new(0),
            taken: Notify::new(),
            stopping: watch::Sender::new(false),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
            copies: Arc::new(Semaphore::new(COPIES)),
            isolation: Arc::new(Semaphore::new(1)),
            metrics: metrics::Metrics::new()?,
        });
        register::register(&shared, &source, "system", false).await.map_err(|error| match error {
            RegisterError::Refused(refusal) => StartError::Template(refusal.to_string()),
            RegisterError::Failed(problem) => StartError::Database(problem.detail),
        })?;
        reconcile::once(&shared).await.map_err(|e| StartError::Database(e.detail))?;
        Ok(Self { shared, listener, metrics_listener })
    }

    /// Serves until the shutdown is announced; requests under way are finished.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) -> std::io::Result<()> {
        let events = tokio::spawn(events::follow(self.shared.clone()));
        let rollout = tokio::spawn(rollout::forever(self.shared.clone()));
        let warm = tokio::spawn(warm::forever(self.shared.clone()));
        let sealer = tokio::spawn(sealer::forever(self.shared.clone(), shutdown.clone()));
        let retention = tokio::spawn(retention::forever(self.shared.clone(), shutdown.clone()));
        let forward = tokio::spawn(forward::all(self.shared.clone(), shutdown.clone()));
        let stopping = self.shared.stopping.clone();
        let isolation = self.shared.isolation.clone();
        let keys = tokio::spawn(http::auth::follow_keys(self.shared.clone()));
        let reconciler = tokio::spawn(reconcile::forever(self.shared.clone(), shutdown.clone()));
        let metrics = self
            .metrics_listener
            .map(|listener| tokio::spawn(metrics::serve(self.shared.clone(), listener, shutdown.clone())));
        let app = http::router(self.shared);
        let served =
            axum::serve(self.listener, app.into_make_service_with_connect_info::<std::net::SocketAddr>())
                .with_graceful_shutdown(async move {
                    // An error means that the sender is gone: that is a shutdown too.
                    let _ = shutdown.wait_for(|stop| *stop).await;
                    stopping.send_replace(true);
                })
                .await;
        // It ends by itself once the shutdown is announced, and takes its tenants away.
        let _ = tokio::time::timeout(LAST_CLEANUP, isolation.acquire()).await;
        reconciler.abort();
        keys.abort();
        events.abort();
        rollout.abort();
        warm.abort();
        retention.abort();
        forward.abort();
        // It ends by itself, with the last checkpoint.
        let _ = tokio::time::timeout(LAST_SEAL, sealer).await;
        if let Some(metrics) = metrics {
            metrics.abort();
        }
        served
    }
}

/// A client for other systems: it follows nobody elsewhere, and waits no longer than this in all.
pub(crate) fn agent(longest: std::time::Duration) -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(longest)).max_redirects(0).build().new_agent()
}

/// The configured template's files, or the example's, judged.
async fn source(
    config: ControlPlaneConfig,
    judge: Arc<Judge>,
    limits: Limits,
) -> Result<template::Source, String> {
    let read = deep::deep(move || {
        let files = match &config.template_dir {
            Some(folder) => template::read_folder(folder)?,
            None => template::example(),
        };
        template::compile(&config.template_name, files, &judge, &limits)
    });
    read.await.ok_or("cannot be read")?.map_err(|refusal| refusal.to_string())
}
