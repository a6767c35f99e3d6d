//! What each `SHOW` answers, with PgBouncer's columns, so that its exporters read them: `database` is the tenant, `user`
//! the login. Columns that PgBouncer does not have stand behind its own.
//!
//! - `sockets`: clients and servers; `stats`: what was counted, and averages.

mod sockets;
mod stats;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::USER;
use super::command::{HELP, Show};
use crate::Shared;
use crate::clients::State;
use crate::config::ProxyConfig;
use crate::pool::Pool;

pub(super) use stats::Sampler;

/// A value of a row.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Text(String),
    Number(i64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Cell::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Cell::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        Cell::Number(number.into())
    }
}

/// A column's name, and whether it holds numbers.
pub(super) type Column = (&'static str, bool);

/// A table. Every row has as many cells as there are columns.
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Columns from a list of names; numbers are marked with `#`.
    fn new(columns: &[&'static str], rows: Vec<Vec<Cell>>) -> Self {
        let column = |name: &&'static str| match name.strip_prefix('#') {
            Some(name) => (name, true),
            None => (*name, false),
        };
        Self { columns: columns.iter().map(column).collect(), rows }
    }
}

/// A row of cells.
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($crate::console::tables::Cell::from($cell)),*] };
}
use row;

pub(super) fn table(shared: &Shared, sampler: &Sampler, show: Show) -> Table {
    match show {
        Show::Clients => sockets::clients(shared),
        Show::Config => config(shared),
        Show::Databases => databases(shared),
        Show::Help => Table::new(&["command"], HELP.iter().map(|word| row![*word]).collect()),
        Show::Lists => lists(shared),
        Show::Pools => pools(shared),
        Show::Servers => sockets::servers(shared),
        Show::State => state(shared),
        Show::Stats => stats::stats(shared, sampler),
        Show::StatsAverages => stats::averages(shared, sampler),
        Show::StatsTotals => stats::totals(shared),
        Show::Totals => stats::sums(shared, sampler),
        Show::Users => users(shared),
        Show::Version => {
            Table::new(&["version"], vec![row![format!("Palisade {}", env!("CARGO_PKG_VERSION"))]])
        }
    }
}

fn sorted(shared: &Shared) -> Vec<Arc<Pool>> {
    let mut pools = shared.pools.all();
    pools.sort_by(|a, b| (&a.key.slug, &a.key.login).cmp(&(&b.key.slug, &b.key.login)));
    pools
}

fn mode(session: bool) -> &'static str {
    if session { "session" } else { "transaction" }
}

fn config(shared: &Shared) -> Table {
    // Every setting as it is; none of them is a secret (those stand in files).
    let fields = |config: &ProxyConfig| serde_json::to_value(config).unwrap_or_default();
    let (now, default) = (fields(&shared.config()), fields(&ProxyConfig::default()));
    let text = |value: Option<&serde_json::Value>| match value {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let row = |(key, value): (&String, &serde_json::Value)| {
        let changeable = if ProxyConfig::needs_restart(key) { "no" } else { "yes" };
        row![key.as_str(), text(Some(value)), text(default.get(key)), changeable]
    };
    let mut rows: Vec<_> = now.as_object().into_iter().flatten().map(row).collect();
    // Exporters ask for these by PgBouncer's names.
    for (theirs, ours) in [
        ("max_client_conn", "max_client_connections"),
        ("default_pool_size", "pool_size"),
        ("max_db_connections", "max_server_connections"),
    ] {
        rows.push(row![theirs, text(now.get(ours)), text(default.get(ours)), "yes"]);
    }
    Table::new(&["key", "value", "default", "changeable"], rows)
}

fn databases(shared: &Shared) -> Table {
    let snapshot = shared.tenants.load();
    let config = shared.config();
    let (host, port) = config.server_address();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for client in shared.clients.all() {
        *counts.entry(client.tenant.clone()).or_default() += 1;
    }
    let mut tenants: Vec<_> = snapshot.tenants.values().collect();
    tenants.sort_by(|a, b| a.slug.as_str().cmp(b.slug.as_str()));
    let row = |tenant: &Arc<palisade_catalog::snapshot::TenantEntry>| {
        let limits = &tenant.limits;
        let most = limits.max_client_connections.map_or(config.tenant_client_connections, |n| n as usize);
        let pool = limits.max_server_connections.map_or(config.pool_size, |n| n as usize);
        let session = tenant.pool_mode == palisade_catalog::snapshot::PoolMode::Session;
        let closed = tenant.access == palisade_catalog::snapshot::Access::Closed;
        row![
            tenant.slug.as_str(),
            host,
            i32::from(port),
            tenant.database.as_str(),
            "",
            pool,
            0,
            0,
            mode(session),
            most,
            counts.get(tenant.slug.as_str()).copied().unwrap_or_default(),
            usize::from(shared.pools.paused(tenant.slug.as_str())),
            usize::from(closed),
        ]
    };
    let columns = [
        "name",
        "host",
        "#port",
        "database",
        "force_user",
        "#pool_size",
        "#min_pool_size",
        "#reserve_pool",
        "pool_mode",
        "#max_connections",
        "#current_connections",
        "#paused",
        "#disabled",
    ];
    Table::new(&columns, tenants.into_iter().map(row).collect())
}

fn lists(shared: &Shared) -> Table {
    let pools = shared.pools.all();
    let idle: usize = pools.iter().map(|pool| pool.sizes().0).sum();
    let used: usize = pools.iter().map(|pool| pool.sizes().1).sum();
    let snapshot = shared.tenants.load();
    let users: usize = snapshot.tenants.values().map(|tenant| tenant.logins.len()).sum();
    let rows = [
        ("databases", snapshot.tenants.len()),
        ("users", users),
        ("pools", pools.len()),
        ("free_clients", shared.slots.available_permits()),
        ("used_clients", shared.clients.len()),
        ("login_clients", shared.clients_logging_in()),
        ("free_servers", idle),
        ("used_servers", used),
        ("dns_names", 0),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
        ("servers_left", shared.pools.left()),
    ];
    Table::new(&["list", "#items"], rows.into_iter().map(|(name, count)| row![name, count]).collect())
}

fn users(shared: &Shared) -> Table {
    let snapshot = shared.tenants.load();
    let logins = snapshot.tenants.values().flat_map(|tenant| {
        let session = tenant.pool_mode == palisade_catalog::snapshot::PoolMode::Session;
        tenant.logins.iter().map(move |login| (tenant.slug.as_str(), login.name.as_str(), mode(session)))
    });
    let logins: BTreeSet<_> = logins.collect();
    let rows = logins.into_iter().map(|(tenant, login, mode)| row![login, mode, tenant]).collect();
    Table::new(&["name", "pool_mode", "database"], rows)
}

fn state(shared: &Shared) -> Table {
    let upgrading = shared.upgrading.load(std::sync::atomic::Ordering::Acquire);
    let yes = |holds: bool| if holds { "yes" } else { "no" };
    let paused = shared.pools.all_paused();
    let rows = vec![
        row!["active", yes(!paused && !upgrading)],
        row!["paused", yes(paused)],
        row!["suspended", "no"],
        row!["upgrading", yes(upgrading)],
        row!["policy_epoch", shared.policy.load().epoch()],
    ];
    Table::new(&["key", "value"], rows)
}

fn pools(shared: &Shared) -> Table {
    #[derive(Default, Clone, Copy)]
    struct Count {
        active: usize,
        waiting: usize,
        longest_ms: u64,
    }
    let mut counts: HashMap<(String, String), Count> = HashMap::new();
    for client in shared.clients.all() {
        let count = counts.entry((client.tenant.clone(), client.login.clone())).or_default();
        match client.state_for() {
            (State::Waiting, ms) => {
                count.waiting += 1;
                count.longest_ms = count.longest_ms.max(ms);
            }
            (State::Idle | State::Active | State::Transaction, _) => count.active += 1,
        }
    }
    let row = |pool: Arc<Pool>| {
        let (idle, used, _) = pool.sizes();
        let (tenant, login) = (pool.key.slug.clone(), pool.key.login.clone());
        let count = counts.get(&(tenant.clone(), login.clone())).copied().unwrap_or_default();
        row![
            tenant,
            login,
            count.active,
            count.waiting,
            0,
            0,
            used,
            0,
            0,
            idle,
            0,
            0,
            0,
            count.longest_ms / 1_000,
            count.longest_ms % 1_000 * 1_000,
            mode(pool.key.session_mode),
            usize::from(pool.paused()),
        ]
    };
    let columns = [
        "database",
        "user",
        "#cl_active",
        "#cl_waiting",
        "#cl_active_cancel_req",
        "#cl_waiting_cancel_req",
        "#sv_active",
        "#sv_active_cancel",
        "#sv_being_canceled",
        "#sv_idle",
        "#sv_used",
        "#sv_tested",
        "#sv_login",
        "#maxwait",
        "#maxwait_us",
        "pool_mode",
        "#paused",
    ];
    let mut rows: Vec<_> = sorted(shared).into_iter().map(row).collect();
    // PgBouncer lists its console too, so that the table is never empty.
    rows.push(row!["pgbouncer", USER, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "statement", 0]);
    Table::new(&columns, rows)
}
