//! `SHOW CLIENTS` and `SHOW SERVERS`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use time::format_description::well_known::Rfc3339;

use super::{Cell, Table, row, sorted};
use crate::Shared;
use crate::clients::{Client, State};

/// PgBouncer's columns of both tables.
const COLUMNS: [&str; 18] = [
    "type",
    "user",
    "database",
    "state",
    "addr",
    "#port",
    "local_addr",
    "#local_port",
    "connect_time",
    "request_time",
    "#wait",
    "#wait_us",
    "#close_needed",
    "ptr",
    "link",
    "#remote_pid",
    "tls",
    "application_name",
];

pub(super) fn clients(shared: &Shared) -> Table {
    let mut all = shared.clients.all();
    all.sort_by_key(|client| client.connected);
    let listen = shared.config().listen;
    let row = |client: Arc<Client>| {
        let (state, ms) = client.state_for();
        let word = match state {
            State::Idle => "idle",
            State::Waiting => "waiting",
            State::Active | State::Transaction => "active",
        };
        let waited = if state == State::Waiting { ms } else { 0 };
        let since = time::OffsetDateTime::now_utc() - std::time::Duration::from_millis(ms);
        let pins: Vec<&str> = client.pins.lock().names().collect();
        let linked = client.linked().map(|pid| pid.to_string()).unwrap_or_default();
        let stamp = |at: time::OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
        row![
            "C",
            client.login.as_str(),
            client.tenant.as_str(),
            word,
            client.address.ip().to_string(),
            i32::from(client.address.port()),
            listen.ip().to_string(),
            i32::from(listen.port()),
            stamp(client.connected),
            stamp(since),
            waited / 1_000,
            waited % 1_000 * 1_000,
            0,
            client.pid().to_string(),
            linked,
            0,
            if client.encrypted { "TLS" } else { "" },
            client.session.as_str(),
            pins.join(","),
            client.transactions.load(Relaxed),
        ]
    };
    let columns: Vec<_> = COLUMNS.into_iter().chain(["pinned_by", "#xact_count"]).collect();
    Table::new(&columns, all.into_iter().map(row).collect())
}

pub(super) fn servers(shared: &Shared) -> Table {
    let config = shared.config();
    let (host, port) = config.server_address();
    let port = i32::from(port);
    let row =
        |user: &str, database: &str, state: &str, link: String, pid: i32, age: u64, tls: bool| -> Vec<Cell> {
            let tls = if tls { "TLS" } else { "" };
            let since = time::OffsetDateTime::now_utc() - std::time::Duration::from_secs(age);
            let since = since.format(&Rfc3339).unwrap_or_default();
            row![
                "S",
                user,
                database,
                state,
                host,
                port,
                "",
                0,
                since,
                "",
                0,
                0,
                0,
                pid.to_string(),
                link,
                pid,
                tls,
                ""
            ]
        };
    let mut rows = Vec::new();
    for pool in sorted(shared) {
        for (pid, age, tls) in pool.idle_servers() {
            let (login, tenant) = (&pool.key.login, &pool.key.slug);
            rows.push(row(login, tenant, "idle", String::new(), pid, age.as_secs(), tls));
        }
    }
    for client in shared.clients.all() {
        if let Some((pid, age, tls)) = client.linked_server() {
            let link = client.pid().to_string();
            rows.push(row(&client.login, &client.tenant, "active", link, pid, age.as_secs(), tls));
        }
    }
    Table::new(&COLUMNS, rows)
}
