//! What each `SHOW` answers. Columns have PgBouncer's names where it has them: `database` is the tenant, `user` the
//! login.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use time::format_description::well_known::Rfc3339;

use super::command::{HELP, Show};
use crate::Shared;
use crate::clients::{Client, State};
use crate::pool::Pool;

/// A table of texts.
pub(super) struct Table {
    pub(super) columns: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

pub(super) fn table(shared: &Shared, show: Show) -> Table {
    match show {
        Show::Clients => clients(shared),
        Show::Config => config(shared),
        Show::Databases => databases(shared),
        Show::Help => one("command", HELP.iter().map(|word| (*word).to_owned())),
        Show::Lists => lists(shared),
        Show::Pools => pools(shared),
        Show::Servers => servers(shared),
        Show::Stats => stats(shared),
        Show::Version => one("version", [format!("Palisade {}", env!("CARGO_PKG_VERSION"))]),
    }
}

fn one(column: &'static str, values: impl IntoIterator<Item = String>) -> Table {
    Table { columns: vec![column], rows: values.into_iter().map(|value| vec![value]).collect() }
}

fn sorted(shared: &Shared) -> Vec<Arc<Pool>> {
    let mut pools = shared.pools.all();
    pools.sort_by(|a, b| (&a.key.slug, &a.key.login).cmp(&(&b.key.slug, &b.key.login)));
    pools
}

fn mode(pool: &Pool) -> String {
    if pool.key.session_mode { "session" } else { "transaction" }.to_owned()
}

fn clients(shared: &Shared) -> Table {
    let mut all = shared.clients.all();
    all.sort_by_key(|client| client.connected);
    let row = |client: Arc<Client>| {
        let state = match client.state() {
            State::Idle => "idle",
            State::Waiting => "waiting",
            State::Active | State::Transaction => "active",
        };
        let pins: Vec<&str> = client.pins.lock().names().collect();
        vec![
            "C".to_owned(),
            client.login.clone(),
            client.tenant.clone(),
            state.to_owned(),
            client.address.ip().to_string(),
            client.address.port().to_string(),
            client.connected.format(&Rfc3339).unwrap_or_default(),
            client.transactions.load(Relaxed).to_string(),
            client.pid().to_string(),
            client.linked().map(|pid| pid.to_string()).unwrap_or_default(),
            pins.join(","),
            if client.encrypted { "yes" } else { "no" }.to_owned(),
            client.session.clone(),
        ]
    };
    Table {
        columns: vec![
            "type",
            "user",
            "database",
            "state",
            "addr",
            "port",
            "connect_time",
            "xact_count",
            "pid",
            "server_pid",
            "pinned_by",
            "tls",
            "session",
        ],
        rows: all.into_iter().map(row).collect(),
    }
}

fn config(shared: &Shared) -> Table {
    // Every setting as it is; none of them is a secret (those stand in files).
    let value = serde_json::to_value(&shared.config).unwrap_or_default();
    let rows = value.as_object().into_iter().flatten().map(|(key, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        vec![key.clone(), text]
    });
    Table { columns: vec!["key", "value"], rows: rows.collect() }
}

fn databases(shared: &Shared) -> Table {
    let snapshot = shared.tenants.load();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for client in shared.clients.all() {
        *counts.entry(client.tenant.clone()).or_default() += 1;
    }
    let mut rows: Vec<Vec<String>> = snapshot
        .tenants
        .values()
        .map(|tenant| {
            let most = tenant
                .limits
                .max_client_connections
                .map_or(shared.config.tenant_client_connections, |n| n as usize);
            let pool = tenant.limits.max_server_connections.map_or(shared.config.pool_size, |n| n as usize);
            vec![
                tenant.slug.to_string(),
                shared.config.server.clone(),
                tenant.database.clone(),
                pool.to_string(),
                format!("{:?}", tenant.pool_mode).to_lowercase(),
                most.to_string(),
                counts.get(tenant.slug.as_str()).copied().unwrap_or_default().to_string(),
                format!("{:?}", tenant.access).to_lowercase(),
            ]
        })
        .collect();
    rows.sort();
    Table {
        columns: vec![
            "name",
            "host",
            "database",
            "pool_size",
            "pool_mode",
            "max_connections",
            "current_connections",
            "access",
        ],
        rows,
    }
}

fn lists(shared: &Shared) -> Table {
    let pools = shared.pools.all();
    let idle: usize = pools.iter().map(|pool| pool.sizes().0).sum();
    let used: usize = pools.iter().map(|pool| pool.sizes().1).sum();
    let rows = [
        ("databases", shared.tenants.load().tenants.len()),
        ("pools", pools.len()),
        ("used_clients", shared.clients.len()),
        ("used_servers", used),
        ("free_servers", idle),
        ("servers_left", shared.pools.left()),
    ];
    let rows = rows.into_iter().map(|(name, count)| vec![name.to_owned(), count.to_string()]).collect();
    Table { columns: vec!["list", "items"], rows }
}

fn pools(shared: &Shared) -> Table {
    let mut counts: HashMap<(String, String), (usize, usize)> = HashMap::new();
    for client in shared.clients.all() {
        let count = counts.entry((client.tenant.clone(), client.login.clone())).or_default();
        match client.state() {
            State::Waiting => count.1 += 1,
            State::Idle | State::Active | State::Transaction => count.0 += 1,
        }
    }
    let row = |pool: Arc<Pool>| {
        let (idle, used, _) = pool.sizes();
        let key = (pool.key.slug.clone(), pool.key.login.clone());
        let (active, waiting) = counts.get(&key).copied().unwrap_or_default();
        let numbers = [active, waiting, used, idle].map(|n| n.to_string());
        let [active, waiting, used, idle] = numbers;
        let paused = if pool.paused() { "1" } else { "0" };
        vec![key.0, key.1, active, waiting, used, idle, paused.to_owned(), mode(&pool)]
    };
    Table {
        columns: vec![
            "database",
            "user",
            "cl_active",
            "cl_waiting",
            "sv_active",
            "sv_idle",
            "paused",
            "pool_mode",
        ],
        rows: sorted(shared).into_iter().map(row).collect(),
    }
}

fn servers(shared: &Shared) -> Table {
    let mut rows = Vec::new();
    for pool in sorted(shared) {
        for (pid, age) in pool.idle_servers() {
            rows.push(vec![
                "S".to_owned(),
                pool.key.login.clone(),
                pool.key.slug.clone(),
                "idle".to_owned(),
                pid.to_string(),
                age.as_secs().to_string(),
                String::new(),
            ]);
        }
    }
    for client in shared.clients.all() {
        if let Some(pid) = client.linked() {
            rows.push(vec![
                "S".to_owned(),
                client.login.clone(),
                client.tenant.clone(),
                "active".to_owned(),
                pid.to_string(),
                String::new(),
                client.pid().to_string(),
            ]);
        }
    }
    Table { columns: vec!["type", "user", "database", "state", "pid", "age_seconds", "client_pid"], rows }
}

/// By tenant, as PgBouncer's by database.
fn stats(shared: &Shared) -> Table {
    let mut tenants: std::collections::BTreeMap<String, [u64; 6]> = std::collections::BTreeMap::new();
    for pool in shared.pools.all() {
        let counts = &pool.counts;
        let all = [
            &counts.transactions,
            &counts.queries,
            &counts.received,
            &counts.sent,
            &counts.transaction_us,
            &counts.wait_us,
        ];
        let sums = tenants.entry(pool.key.slug.clone()).or_default();
        for (sum, count) in sums.iter_mut().zip(all) {
            *sum += count.load(Relaxed);
        }
    }
    let row = |(tenant, sums): (String, [u64; 6])| {
        std::iter::once(tenant).chain(sums.iter().map(u64::to_string)).collect()
    };
    Table {
        columns: vec![
            "database",
            "total_xact_count",
            "total_query_count",
            "total_received",
            "total_sent",
            "total_xact_time",
            "total_wait_time",
        ],
        rows: tenants.into_iter().map(row).collect(),
    }
}
