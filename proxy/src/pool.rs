//! Server connections of one login of one tenant: a pool is authenticated as that login's role and serves nobody else.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use palisade_catalog::names;
use palisade_catalog::snapshot::{Access, Login, PoolMode, Snapshot, TenantEntry, TenantLimits};
use palisade_policies::Namespace;
use palisade_wire::error::Fields;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::Shared;
use crate::buffers;
use crate::clock;
use crate::rate::Rate;
use crate::rename::Names;
use crate::server::{self, Parameters, Server, ServerError};
use crate::settings::Settings;
use crate::statements::Statements;
use crate::timeouts::Timeouts;
use crate::types::Types;
use crate::verdicts::Verdicts;

/// Most different sets of startup settings whose reported parameters are remembered for each pool.
const WELCOMES: usize = 64;

/// Most different sets of reported parameters that are kept once for each pool.
const REPORTS: usize = 64;

/// Whose pool it is. A rotation or another size makes another pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) tenant: String,
    pub(crate) slug: String,
    pub(crate) login: String,
    pub(crate) role: String,
    pub(crate) generation: u32,
    pub(crate) size: usize,
    pub(crate) session_mode: bool,
    pub(crate) limits: TenantLimits,
}

impl Key {
    /// Whose pool serves a login now.
    fn of(shared: &Shared, tenant: &TenantEntry, login: &Login) -> Self {
        let size =
            tenant.limits.max_server_connections.map_or(shared.config().pool_size, |n| n.max(1) as usize);
        Self {
            tenant: tenant.id.to_string(),
            slug: tenant.slug.to_string(),
            login: login.name.to_string(),
            role: login.server_role.clone(),
            generation: login.generation,
            size,
            session_mode: tenant.pool_mode == PoolMode::Session,
            limits: tenant.limits,
        }
    }
}

/// Why there is no server connection.
#[derive(Debug)]
pub(crate) enum PoolError {
    /// Too many clients wait already.
    Queue(usize),
    /// The tenant has begun too many transactions, so many in a second are allowed.
    Rate(u32),
    /// Waited for `query_wait_timeout_ms`.
    Wait(u64),
    /// No new one could be opened.
    Server(ServerError),
}

impl PoolError {
    /// The words for the client. PostgreSQL's own where it has said any.
    pub(crate) fn fields(self, names: &Names) -> Fields {
        match self {
            PoolError::Queue(most) => {
                Fields::new("FATAL", "53300", "too many clients wait for a server connection")
                    .with(b'H', Some(&format!("The proxy's limit is query_queue_clients ({most}).")))
            }
            PoolError::Rate(most) => Fields::new("FATAL", "53400", "too many transactions")
                .with(b'H', Some(&format!("The tenant's limit is transactions_per_second ({most})."))),
            PoolError::Wait(ms) => Fields::new("FATAL", "57014", "query_wait_timeout")
                .with(b'H', Some(&format!("No server connection became free within {ms} ms."))),
            PoolError::Server(ServerError::Refused(mut fields)) => {
                names.fields(&mut fields, |_| None);
                fields
            }
            PoolError::Server(_) => Fields::new("FATAL", "08006", "the database server does not answer"),
        }
    }
}

/// What the console and the metrics count.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) transactions: AtomicU64,
    pub(crate) queries: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) transaction_us: AtomicU64,
    /// Transactions' time without the client's own silence inside them.
    pub(crate) query_us: AtomicU64,
    pub(crate) wait_us: AtomicU64,
}

/// What a client's settings are at login, and what it is told.
pub(crate) type Welcome = (Arc<Settings>, Arc<Parameters>);

/// One pool.
pub(crate) struct Pool {
    pub(crate) key: Key,
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) names: Names,
    pub(crate) verdicts: Verdicts,
    pub(crate) statements: Statements,
    /// The types that its clients may name by number.
    pub(crate) types: Types,
    /// Ticks whenever the tenant changes definitions: statements prepared afterwards get new plans.
    pub(crate) definitions: Arc<AtomicU64>,
    pub(crate) counts: Arc<Counts>,
    /// Texts that were done since that was last put on record.
    pub(crate) done: AtomicU64,
    /// How long its clients may be silent, or busy.
    pub(crate) timeouts: Timeouts,
    /// Longest message of a client, in bytes.
    pub(crate) max_message_bytes: usize,
    rate: Option<Arc<Rate>>,
    database: String,
    owner: String,
    idle: Mutex<Vec<Server>>,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    closed: AtomicBool,
    /// While it is true, nobody is given a connection.
    paused: watch::Sender<bool>,
    /// Connections opened before this are closed when they come back.
    epoch: Mutex<Option<Instant>>,
    welcomes: Mutex<HashMap<Arc<Settings>, Arc<Parameters>>>,
    reports: Mutex<HashSet<Arc<Parameters>>>,
}

/// A server connection that a client holds. Dropped, it is closed.
pub(crate) struct Held {
    pub(crate) server: Server,
    _slot: OwnedSemaphorePermit,
}

impl Pool {
    fn new(
        key: Key,
        tenant: &TenantEntry,
        login: &Login,
        shared: &Shared,
        definitions: Arc<AtomicU64>,
        rate: Option<Arc<Rate>>,
        counts: Arc<Counts>,
    ) -> Self {
        let namespace = Namespace {
            kind: login.kind.to_string(),
            schema: tenant.schema.clone(),
            database: tenant.slug.to_string(),
            shared: shared.config().shared_schemas.clone(),
        };
        let limits = &key.limits;
        let names = Names::new(&tenant.schema, login.name.as_str(), &tenant.database, tenant.slug.as_str());
        Self {
            namespace: Arc::new(namespace),
            names,
            verdicts: Verdicts::new(shared.config().verdict_cache_bytes),
            statements: Statements::new(rand::random()),
            types: Types::default(),
            done: AtomicU64::new(0),
            definitions,
            counts,
            timeouts: Timeouts {
                idle: limits.client_idle_timeout_ms.map_or(shared.config().client_idle_timeout_ms, u64::from),
                transaction: u64::from(limits.idle_in_transaction_timeout_ms.unwrap_or_default()),
                statement: u64::from(limits.statement_timeout_ms.unwrap_or_default()),
            },
            max_message_bytes: limits
                .max_message_bytes
                .map_or(shared.config().max_message_bytes, |bytes| bytes as usize),
            rate,
            database: tenant.database.clone(),
            owner: names::owner_role(&tenant.id),
            idle: Mutex::default(),
            slots: Arc::new(Semaphore::new(key.size)),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            paused: watch::channel(false).0,
            epoch: Mutex::default(),
            welcomes: Mutex::default(),
            reports: Mutex::default(),
            key,
        }
    }

    /// An idle server connection, where nobody has to wait for one.
    pub(crate) fn try_take(&self) -> Option<Held> {
        if self.rate.is_some() || self.paused() {
            return None;
        }
        let slot = self.slots.clone().try_acquire_owned().ok()?;
        let mut server = self.pop()?;
        // One that has spoken unasked is closed.
        server.quiet().then_some(Held { server, _slot: slot })
    }

    /// Takes a server connection: an idle one, or a new one. Waits where the pool, or the cluster's budget, is used up.
    pub(crate) async fn take(&self, shared: &Shared) -> Result<Held, PoolError> {
        let rested = self.rest(shared).await?;
        let slot = match self.slots.clone().try_acquire_owned() {
            Ok(slot) if !self.paused() => slot,
            _ => self.wait(shared, rested).await?,
        };
        while let Some(mut server) = self.pop() {
            if server.quiet() {
                return Ok(Held { server, _slot: slot });
            }
        }
        let server = self.open(shared).await?;
        Ok(Held { server, _slot: slot })
    }

    /// The idle connection that was used last, of this thread's loop where there is one.
    fn pop(&self) -> Option<Server> {
        let mut idle = self.idle.lock();
        match idle.iter().rposition(Server::is_here) {
            Some(at) => Some(idle.remove(at)),
            None => idle.pop(),
        }
    }

    /// Waits as long as the tenant's rate demands; says how long that was.
    async fn rest(&self, shared: &Shared) -> Result<Duration, PoolError> {
        let Some(rate) = &self.rate else { return Ok(Duration::ZERO) };
        let longest = Duration::from_millis(self.wait_ms(shared));
        let wait = rate.take(Instant::now(), longest).ok_or(PoolError::Rate(rate.per_second))?;
        if !wait.is_zero() {
            let most = self.queue(shared);
            let _waiting = Waiting::enter(&self.waiting, most).ok_or(PoolError::Queue(most))?;
            tokio::time::sleep(wait).await;
        }
        Ok(wait)
    }

    /// Most clients that wait.
    fn queue(&self, shared: &Shared) -> usize {
        self.key.limits.query_queue_clients.map_or(shared.config().query_queue_clients, |n| n as usize)
    }

    /// Longest wait, in milliseconds.
    fn wait_ms(&self, shared: &Shared) -> u64 {
        self.key.limits.query_wait_timeout_ms.map_or(shared.config().query_wait_timeout_ms, u64::from)
    }

    /// `rested`: how long the client has waited already.
    async fn wait(&self, shared: &Shared, rested: Duration) -> Result<OwnedSemaphorePermit, PoolError> {
        let most = self.queue(shared);
        let _waiting = Waiting::enter(&self.waiting, most).ok_or(PoolError::Queue(most))?;
        let started = Instant::now();
        let ms = self.wait_ms(shared);
        let resumed = async {
            if self.paused() {
                // The sender lives as long as the pool.
                let _ = self.paused.subscribe().wait_for(|paused| !paused).await;
            }
            self.slots.clone().acquire_owned().await
        };
        let slot = tokio::time::timeout(Duration::from_millis(ms).saturating_sub(rested), resumed).await;
        let waited = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.counts.wait_us.fetch_add(waited, Ordering::Relaxed);
        shared.metrics.wait.inc_by(waited);
        // The semaphore is never closed.
        slot.ok().and_then(Result::ok).ok_or(PoolError::Wait(ms))
    }

    /// Opens a connection. Its startup packet pins what RESET and DISCARD return to.
    async fn open(&self, shared: &Shared) -> Result<Server, PoolError> {
        let budget = shared.pools.budget(shared).await?;
        let path = self.namespace.search_path();
        let mut parameters: Vec<(&str, &str)> = vec![
            ("user", &self.key.role),
            ("database", &self.database),
            ("client_encoding", "UTF8"),
            ("standard_conforming_strings", "on"),
            ("search_path", &path),
        ];
        if let Some(owner) = self.owner_role() {
            parameters.push(("role", owner));
        }
        let TenantLimits { statement_timeout_ms, idle_in_transaction_timeout_ms, .. } = self.key.limits;
        let statement = statement_timeout_ms.map(|ms| ms.to_string());
        let idle = idle_in_transaction_timeout_ms.map(|ms| ms.to_string());
        parameters.extend(statement.as_deref().map(|ms| ("statement_timeout", ms)));
        parameters.extend(idle.as_deref().map(|ms| ("idle_in_transaction_session_timeout", ms)));
        let password = shared.master.server_password(&self.key.role, self.key.generation);
        let timeout = Duration::from_millis(shared.config().server_connect_timeout_ms);
        let opened = server::connect(&shared.upstream, &parameters, &password, timeout).await;
        let opened = opened.map_err(|error| {
            tracing::warn!(%error, tenant = %self.key.slug, "no server connection");
            shared.metrics.server_errors.inc();
            PoolError::Server(error)
        })?;
        shared.metrics.server_logins.inc();
        let parameters =
            opened.parameters.iter().map(|(name, value)| (name.clone(), self.shown(name, value))).collect();
        let parameters = self.one(Arc::new(parameters));
        let most = NonZeroUsize::new(shared.config().server_prepared_statements).unwrap_or(NonZeroUsize::MIN);
        Ok(Server::new(opened, shared.upstream.clone(), parameters, most, budget))
    }

    /// The pool's one copy of these parameters: where connections report the same, nothing has to be compared.
    pub(crate) fn one(&self, parameters: Arc<Parameters>) -> Arc<Parameters> {
        let mut reports = self.reports.lock();
        if let Some(known) = reports.get(&parameters) {
            return known.clone();
        }
        if reports.len() >= REPORTS {
            reports.clear();
        }
        reports.insert(parameters.clone());
        parameters
    }

    /// The role that owns the tenant's objects, where the login works as it.
    pub(crate) fn owner_role(&self) -> Option<&str> {
        (self.namespace.kind == "owner").then_some(&self.owner)
    }

    /// A reported parameter as the tenant may see it.
    pub(crate) fn shown(&self, name: &str, value: &str) -> String {
        match name {
            "session_authorization" => self.key.login.clone(),
            _ => self.names.logical(value),
        }
    }

    /// Gives a connection back. The caller has proven that nothing of its client is left in it.
    pub(crate) fn give(&self, held: Held, shared: &Shared) {
        let Held { mut server, _slot } = held;
        // Others of the cluster wait for a place, or this pool is of the past.
        if shared.pools.wanted() || self.closed.load(Ordering::Acquire) {
            return;
        }
        if self.epoch.lock().is_some_and(|epoch| server.target.opened < epoch) {
            return;
        }
        server.used_ms = clock::coarse_ms();
        buffers::lay_down(&mut server.input);
        self.idle.lock().push(server);
    }

    /// Brings a pinned connection back to its beginning, then gives it back.
    pub(crate) async fn clean(&self, mut held: Held, shared: &Shared) {
        if self.set(&mut held.server, "DISCARD ALL", shared).await.is_ok() {
            held.server.discarded();
            self.give(held, shared);
        }
    }

    /// Sends statements that set, and takes in what is reported of them. An error means that the connection is not to be
    /// used again.
    async fn set(&self, server: &mut Server, statements: &str, shared: &Shared) -> Result<(), ServerError> {
        let limit = Duration::from_millis(shared.config().server_connect_timeout_ms);
        let set = server.set(statements, |name, value| self.shown(name, value));
        tokio::time::timeout(limit, set).await.map_err(|_| ServerError::Timeout)??;
        server.parameters = self.one(server.parameters.clone());
        Ok(())
    }

    /// What a client with these startup settings is told at login. Known from an earlier one, or asked of a server.
    pub(crate) async fn welcome(&self, settings: Settings, shared: &Shared) -> Result<Welcome, PoolError> {
        if let Some((settings, parameters)) = self.welcomes.lock().get_key_value(&settings) {
            return Ok((settings.clone(), parameters.clone()));
        }
        let settings = Arc::new(settings);
        let mut held = self.take(shared).await?;
        let server = &mut held.server;
        let statements = server.bring(&settings, self.owner_role());
        if !statements.is_empty() {
            self.set(server, &statements.join(";"), shared).await.map_err(PoolError::Server)?;
        }
        let welcome = (settings, server.parameters.clone());
        self.give(held, shared);
        let mut welcomes = self.welcomes.lock();
        if welcomes.len() >= WELCOMES {
            welcomes.clear();
        }
        welcomes.insert(welcome.0.clone(), welcome.1.clone());
        Ok(welcome)
    }

    /// Server connections that nobody uses, those in use, and clients that wait.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        let idle = self.idle.lock().len();
        let used = self.key.size - self.slots.available_permits().min(self.key.size);
        (idle, used, self.waiting.load(Ordering::Relaxed))
    }

    /// Holds everybody back, or lets them go on.
    pub(crate) fn pause(&self, pause: bool) {
        self.paused.send_replace(pause);
    }

    /// Whether it is paused.
    pub(crate) fn paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Closes every connection that exists now: the idle ones at once, the others when they come back.
    pub(crate) fn reconnect(&self) {
        *self.epoch.lock() = Some(Instant::now());
        self.idle.lock().clear();
    }

    /// Process id, age and encryption of the idle connections.
    pub(crate) fn idle_servers(&self) -> Vec<(i32, Duration, bool)> {
        let idle = self.idle.lock();
        idle.iter().map(|s| (s.target.pid, s.target.opened.elapsed(), s.target.encrypted)).collect()
    }

    /// Whether another pool has taken its place, or none.
    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.idle.lock().clear();
    }

    /// Closes connections that nobody has used for a while, or that are old.
    fn expire(&self, idle: Duration, life: Duration) {
        let now = clock::coarse_ms();
        let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        self.idle.lock().retain(|s| now.saturating_sub(s.used_ms) < idle && s.target.opened.elapsed() < life);
    }

    fn oldest(&self) -> Option<u64> {
        self.idle.lock().first().map(|server| server.used_ms)
    }
}

/// A client in a queue, counted.
struct Waiting<'p>(&'p AtomicUsize);

impl<'p> Waiting<'p> {
    fn enter(count: &'p AtomicUsize, most: usize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::AcqRel);
        let entered = Self(count);
        (before < most).then_some(entered)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// All pools of the cluster, and the number of connections that they share.
pub(crate) struct Pools {
    all: Mutex<HashMap<Key, Arc<Pool>>>,
    definitions: Mutex<HashMap<String, Arc<AtomicU64>>>,
    rates: Mutex<HashMap<String, Arc<Rate>>>,
    /// What was counted, by slug.
    counts: Mutex<HashMap<String, Arc<Counts>>>,
    /// Tenants that are paused; `None` stands for all. A pool that is made meanwhile is paused too.
    paused: Mutex<HashSet<Option<String>>>,
    budget: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Pools {
    /// No pool yet; `budget` connections for all of them.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            all: Mutex::default(),
            definitions: Mutex::default(),
            rates: Mutex::default(),
            counts: Mutex::default(),
            paused: Mutex::default(),
            budget: Arc::new(Semaphore::new(budget)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The pool of a login.
    pub(crate) fn of(&self, shared: &Shared, tenant: &TenantEntry, login: &Login) -> Arc<Pool> {
        let key = Key::of(shared, tenant, login);
        let definitions = self.definitions.lock().entry(key.tenant.clone()).or_default().clone();
        let rate = self.rate(tenant);
        let counts = self.counts.lock().entry(key.slug.clone()).or_default().clone();
        match self.all.lock().entry(key) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(free) => {
                let pool = Pool::new(free.key().clone(), tenant, login, shared, definitions, rate, counts);
                let paused = self.paused.lock();
                pool.pause(paused.contains(&None) || paused.contains(&Some(pool.key.slug.clone())));
                drop(paused);
                free.insert(Arc::new(pool)).clone()
            }
        }
    }

    /// The rate that all logins of a tenant share, where it has one.
    fn rate(&self, tenant: &TenantEntry) -> Option<Arc<Rate>> {
        let mut rates = self.rates.lock();
        let Some(per_second) = tenant.limits.transactions_per_second.filter(|n| *n > 0) else {
            rates.remove(tenant.id.as_str());
            return None;
        };
        let known = rates.get(tenant.id.as_str()).filter(|rate| rate.per_second == per_second);
        let rate = known.cloned().unwrap_or_else(|| Arc::new(Rate::new(per_second, Instant::now())));
        rates.insert(tenant.id.to_string(), rate.clone());
        Some(rate)
    }

    /// Holds everybody of a tenant back, or of all tenants, or lets them go on.
    pub(crate) fn pause(&self, tenant: Option<&str>, pause: bool) {
        let name = tenant.map(str::to_owned);
        {
            let mut paused = self.paused.lock();
            match (pause, &name) {
                (true, _) => drop(paused.insert(name)),
                (false, Some(_)) => drop(paused.remove(&name)),
                (false, None) => paused.clear(),
            }
        }
        for pool in self.all() {
            if tenant.is_none_or(|tenant| pool.key.slug == tenant) {
                pool.pause(pause);
            }
        }
    }

    /// What was counted, by slug.
    pub(crate) fn counts(&self) -> Vec<(String, Arc<Counts>)> {
        self.counts.lock().iter().map(|(slug, counts)| (slug.clone(), counts.clone())).collect()
    }

    /// Whether a tenant is held back.
    pub(crate) fn paused(&self, slug: &str) -> bool {
        let paused = self.paused.lock();
        paused.contains(&None) || paused.contains(&Some(slug.to_owned()))
    }

    /// Whether all tenants are held back.
    pub(crate) fn all_paused(&self) -> bool {
        self.paused.lock().contains(&None)
    }

    /// Closes every pool: clients go on in new ones, made with the settings of the day.
    pub(crate) fn renew(&self) {
        for (_, pool) in self.all.lock().drain() {
            pool.close();
        }
    }

    /// Another number of connections for all pools. Fewer take effect as connections are closed.
    pub(crate) fn resize(&self, before: usize, after: usize) {
        resize(&self.budget, before, after);
    }

    /// All pools, at this instant.
    pub(crate) fn all(&self) -> Vec<Arc<Pool>> {
        self.all.lock().values().cloned().collect()
    }

    /// Closes the pools of tenants and logins that are open no longer, and those whose limits have changed: their
    /// clients go on in the pool that takes their place.
    pub(crate) fn follow(&self, shared: &Shared, snapshot: &Snapshot) {
        self.all.lock().retain(|key, pool| {
            let open = snapshot.login(&key.slug, &key.login).is_some_and(|(tenant, login)| {
                tenant.access != Access::Closed && login.enabled && Key::of(shared, tenant, login) == *key
            });
            if !open {
                pool.close();
            }
            open
        });
        let tenants: HashSet<&str> = snapshot.tenants.values().map(|t| t.id.as_str()).collect();
        self.definitions.lock().retain(|tenant, _| tenants.contains(tenant.as_str()));
        self.rates.lock().retain(|tenant, _| tenants.contains(tenant.as_str()));
        self.counts.lock().retain(|slug, _| snapshot.tenants.contains_key(slug.as_str()));
    }

    /// Closes what nobody uses, every second, for ever.
    pub(crate) async fn expire(&self, shared: &Shared) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let idle = Duration::from_millis(shared.config().server_idle_timeout_ms);
            let life = Duration::from_millis(shared.config().server_lifetime_ms);
            self.all().iter().for_each(|pool| pool.expire(idle, life));
            // A pool that nobody holds and that holds nothing is forgotten.
            self.all.lock().retain(|_, pool| {
                Arc::strong_count(pool) > 1 || pool.sizes().0 > 0 || pool.done.load(Ordering::Relaxed) > 0
            });
        }
    }

    /// Whether somebody waits for a place in the cluster's budget.
    fn wanted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// A place for one more connection. Where there is none, the connection that has been idle longest makes place.
    async fn budget(&self, shared: &Shared) -> Result<OwnedSemaphorePermit, PoolError> {
        if let Ok(place) = self.budget.clone().try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::enter(&self.waiting, usize::MAX);
        self.evict();
        let ms = shared.config().query_wait_timeout_ms;
        let place =
            tokio::time::timeout(Duration::from_millis(ms), self.budget.clone().acquire_owned()).await;
        // The semaphore is never closed.
        place.ok().and_then(Result::ok).ok_or(PoolError::Wait(ms))
    }

    fn evict(&self) {
        let oldest =
            self.all().into_iter().filter_map(|pool| Some((pool.oldest()?, pool))).min_by_key(|(at, _)| *at);
        if let Some((_, pool)) = oldest {
            let mut idle = pool.idle.lock();
            if !idle.is_empty() {
                idle.remove(0);
            }
        }
    }

    /// Connections that may still be opened.
    pub(crate) fn left(&self) -> usize {
        self.budget.available_permits()
    }
}

/// Changes how many permits a semaphore has. Permits that are out are taken away when they come back, one by one, so
/// that nobody who waits is held up by all of them.
pub(crate) fn resize(semaphore: &Arc<Semaphore>, before: usize, after: usize) {
    if after >= before {
        semaphore.add_permits(after - before);
        return;
    }
    let semaphore = semaphore.clone();
    tokio::spawn(async move {
        for _ in after..before {
            // The semaphore is never closed.
            if let Ok(permit) = semaphore.clone().acquire_owned().await {
                permit.forget();
            }
        }
    });
}
