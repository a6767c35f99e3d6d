//! What Prometheus scrapes. Labels are bounded: reasons, classes and states, never a tenant's name.

use prometheus::{CounterVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use palisade_policies::Reason;

use crate::Shared;
use crate::clients::State;
use crate::loops::Loops;
use crate::pins::Pins;

/// All of the proxy's metrics.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) logins: IntCounterVec,
    pub(crate) denials: IntCounterVec,
    pub(crate) observed: IntCounterVec,
    pub(crate) policy_errors: IntCounter,
    policy_epoch: IntGauge,
    pub(crate) pins: IntCounterVec,
    errors: IntCounterVec,
    pub(crate) verdict_hits: IntCounter,
    pub(crate) verdict_misses: IntCounter,
    pub(crate) server_logins: IntCounter,
    pub(crate) server_errors: IntCounter,
    pub(crate) transactions: IntCounter,
    pub(crate) queries: IntCounter,
    pub(crate) wait: IntCounter,
    clients: IntGaugeVec,
    servers: IntGaugeVec,
    pools: IntGauge,
    tenants: IntGauge,
    budget: IntGauge,
    verdict_entries: IntGauge,
    verdict_bytes: IntGauge,
    loops: LoopMetrics,
}

/// What the threads that serve clients say of themselves.
struct LoopMetrics {
    cpu: CounterVec,
    sessions: IntGaugeVec,
    moves: IntCounter,
}

impl LoopMetrics {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts =
            Opts::new("palisade_loop_cpu_seconds_total", "CPU time of each thread that serves clients");
        let cpu = CounterVec::new(opts, &["loop"])?;
        registry.register(Box::new(cpu.clone()))?;
        let opts = Opts::new("palisade_loop_sessions", "Clients on each thread");
        let sessions = IntGaugeVec::new(opts, &["loop"])?;
        registry.register(Box::new(sessions.clone()))?;
        let help = "Sessions that went from one thread to another";
        let moves = IntCounter::new("palisade_loop_moves_total", help)?;
        registry.register(Box::new(moves.clone()))?;
        Ok(Self { cpu, sessions, moves })
    }

    fn gather(&self, loops: &Loops) {
        for (index, (cpu, sessions)) in loops.figures().enumerate() {
            let index = index.to_string();
            let known = self.cpu.with_label_values(&[&index]);
            known.inc_by((cpu - known.get()).max(0.0));
            let sessions = i64::try_from(sessions).unwrap_or(i64::MAX);
            self.sessions.with_label_values(&[&index]).set(sessions);
        }
        self.moves.inc_by(loops.moves().saturating_sub(self.moves.get()));
    }
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// A name that is there twice; a fault of the build.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let counters = |name: &str, help: &str, label: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone())).map(|()| counters)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let gauges = |name: &str, help: &str, label: &str| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(gauges.clone())).map(|()| gauges)
        };
        let metrics = Self {
            loops: LoopMetrics::new(&registry)?,
            logins: counters("palisade_client_logins_total", "Client logins by result", "result")?,
            denials: counters("palisade_denials_total", "Statements refused by policy, by reason", "reason")?,
            observed: counters(
                "palisade_observed_denials_total",
                "Statements that the policy refuses, of tenants that only try it, by reason",
                "reason",
            )?,
            policy_errors: counter(
                "palisade_policy_errors_total",
                "Times that an activated policy could not be used and the last one stayed",
            )?,
            policy_epoch: gauge("palisade_policy_epoch", "The policy in force")?,
            pins: counters(
                "palisade_pins_total",
                "Server connections kept by a client, by reason",
                "reason",
            )?,
            errors: counters("palisade_errors_total", "Errors sent to clients, by SQLSTATE class", "class")?,
            verdict_hits: counter("palisade_verdict_cache_hits_total", "Texts whose verdict was known")?,
            verdict_misses: counter(
                "palisade_verdict_cache_misses_total",
                "Texts that were read and judged",
            )?,
            server_logins: counter("palisade_server_logins_total", "Server connections opened")?,
            server_errors: counter("palisade_server_errors_total", "Server connections that failed")?,
            transactions: counter("palisade_transactions_total", "Transactions relayed")?,
            queries: counter("palisade_queries_total", "Texts relayed")?,
            wait: counter(
                "palisade_pool_wait_microseconds_total",
                "Time that clients waited for a server connection",
            )?,
            clients: gauges("palisade_clients", "Clients by state", "state")?,
            servers: gauges("palisade_servers", "Server connections by state", "state")?,
            pools: gauge("palisade_pools", "Pools: logins of tenants with a client or a server connection")?,
            tenants: gauge("palisade_tenants", "Tenants that the proxy knows")?,
            budget: gauge("palisade_server_budget_left", "Server connections that may still be opened")?,
            verdict_entries: gauge("palisade_verdict_cache_entries", "Texts whose verdict is remembered")?,
            verdict_bytes: gauge("palisade_verdict_cache_bytes", "Memory of the remembered verdicts")?,
            registry,
        };
        // Every label is there from the start, so that the first event shows in a rate.
        for result in ["ok", "refused", "throttled"] {
            metrics.logins.with_label_values(&[result]);
        }
        for reason in Pins::all_names() {
            metrics.pins.with_label_values(&[reason]);
        }
        for reason in Reason::ALL {
            metrics.denials.with_label_values(&[reason.code()]);
            metrics.observed.with_label_values(&[reason.code()]);
        }
        Ok(metrics)
    }

    /// An error that a client got.
    pub(crate) fn error(&self, sqlstate: &str) {
        // Two characters of PostgreSQL's own list; anything else is one class.
        let class =
            sqlstate.get(..2).filter(|c| c.bytes().all(|b| b.is_ascii_alphanumeric())).unwrap_or("??");
        self.errors.with_label_values(&[class]).inc();
    }

    /// Everything in Prometheus' text format.
    pub(crate) fn text(&self, shared: &Shared) -> String {
        self.gather(shared);
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    fn gather(&self, shared: &Shared) {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.policy_epoch.set(i64::try_from(shared.policy.load().epoch()).unwrap_or(i64::MAX));
        let (mut waiting, mut active, mut idle, mut transaction) = (0, 0, 0, 0);
        for client in shared.clients.all() {
            match client.state() {
                State::Idle => idle += 1,
                State::Waiting => waiting += 1,
                State::Active => active += 1,
                State::Transaction => transaction += 1,
            }
        }
        for (state, count) in
            [("idle", idle), ("waiting", waiting), ("active", active), ("idle_in_transaction", transaction)]
        {
            self.clients.with_label_values(&[state]).set(count);
        }
        let pools = shared.pools.all();
        let (mut free, mut used, mut entries, mut bytes) = (0, 0, 0, 0);
        for pool in &pools {
            let sizes = pool.sizes();
            free += sizes.0;
            used += sizes.1;
            let (texts, weight) = pool.verdicts.size();
            entries += texts;
            bytes += weight;
        }
        self.servers.with_label_values(&["idle"]).set(number(free));
        self.servers.with_label_values(&["active"]).set(number(used));
        self.pools.set(number(pools.len()));
        self.tenants.set(number(shared.tenants.load().tenants.len()));
        self.budget.set(number(shared.pools.left()));
        self.loops.gather(&shared.loops);
        self.verdict_entries.set(number(entries));
        self.verdict_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}
