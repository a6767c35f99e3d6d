//! The proxies' admin consoles, asked by the control plane: who is connected as a tenant, and ending a session.
//!
//! A proxy that does not answer is shown as such; nothing of the control plane waits for it longer than [`ANSWER`].

use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, pin_mut};
use serde::Serialize;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow};
use utoipa::ToSchema;

use crate::Shared;
use crate::installation::InstalledProxy;

/// The consoles' only user.
const USER: &str = "palisade";
/// Longest wait for one proxy's answers, all together.
const ANSWER: Duration = Duration::from_secs(2);
/// Most sessions, and most server connections, of one tenant at one proxy that are shown.
const SHOWN: usize = 500;

/// A proxy, and whether it answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ProxyState {
    /// Its console's address.
    pub(crate) address: String,
    pub(crate) reachable: bool,
    /// Why it is not.
    pub(crate) error: Option<String>,
}

/// A client's session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LiveSession {
    /// As it stands in the audit trail.
    pub(crate) id: String,
    /// The console's address of its proxy.
    pub(crate) proxy: String,
    pub(crate) login: String,
    /// `idle`, `waiting` (for a server connection) or `active`.
    pub(crate) state: String,
    /// The client's address and port.
    pub(crate) client: String,
    /// Since when it is connected (RFC 3339).
    pub(crate) connected_at: String,
    /// Since when it is in its state (RFC 3339).
    pub(crate) since: String,
    /// How long it has waited for a server connection, in milliseconds.
    pub(crate) waiting_ms: u64,
    /// The process of PostgreSQL that serves it now.
    pub(crate) server_pid: Option<i32>,
    /// Why that server connection stays with it, such as `listen`, `temporary_object`.
    pub(crate) pinned_by: Vec<String>,
    /// How many transactions it has had.
    pub(crate) transactions: u64,
    /// Whether the client speaks TLS.
    pub(crate) encrypted: bool,
    /// Its number at the console.
    #[serde(skip)]
    ptr: i32,
}

/// A pool of server connections: one login of the tenant at one proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LivePool {
    pub(crate) proxy: String,
    pub(crate) login: String,
    /// `transaction` or `session`.
    pub(crate) mode: String,
    /// Clients that have, or do not want, a server connection.
    pub(crate) clients: u64,
    /// Clients that wait for one.
    pub(crate) waiting: u64,
    /// Server connections that serve a client.
    pub(crate) servers_used: u64,
    pub(crate) servers_idle: u64,
    /// The longest wait of those who wait now, in milliseconds.
    pub(crate) longest_wait_ms: u64,
    /// Whether it is paused: new transactions wait.
    pub(crate) paused: bool,
}

/// A connection to PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LiveServer {
    pub(crate) proxy: String,
    pub(crate) login: String,
    /// `idle` or `active`.
    pub(crate) state: String,
    /// The process of PostgreSQL.
    pub(crate) pid: i32,
    /// Since when it is open (RFC 3339).
    pub(crate) connected_at: String,
    /// Whether it speaks TLS.
    pub(crate) encrypted: bool,
}

/// Who is connected as a tenant.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Live {
    pub(crate) proxies: Vec<ProxyState>,
    pub(crate) sessions: Vec<LiveSession>,
    pub(crate) pools: Vec<LivePool>,
    pub(crate) servers: Vec<LiveServer>,
    /// Whether there are more sessions or server connections than are shown.
    pub(crate) more: bool,
}

/// Why a session was not ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    /// No reachable proxy has it.
    #[error("no proxy that answers has a session with this id of the tenant; it may have ended")]
    Gone,
    /// Some proxies do not answer, and the others do not have it.
    #[error("the session is at none of the proxies that answer, and {0} does not")]
    Unreachable(String),
    /// Its proxy refused.
    #[error("the proxy did not end it: {0}")]
    Refused(String),
}

/// Asks every proxy about a tenant.
pub(crate) async fn live(shared: &Shared, slug: &str) -> Live {
    let consoles = &shared.config.consoles;
    let answers = join_all(
        consoles.iter().map(|address| async move { (address, in_time(ask(shared, address, slug)).await) }),
    )
    .await;
    let mut all = Live::default();
    for (address, answer) in answers {
        let error = match answer {
            Ok(live) => {
                all.sessions.extend(live.sessions);
                all.pools.extend(live.pools);
                all.servers.extend(live.servers);
                all.more |= live.more;
                None
            }
            Err(error) => Some(error),
        };
        all.proxies.push(ProxyState { address: address.clone(), reachable: error.is_none(), error });
    }
    all
}

/// Asks every proxy what it is.
pub(crate) async fn installed(shared: &Shared) -> Vec<InstalledProxy> {
    join_all(shared.config.consoles.iter().map(|address| async move {
        let (version, policy_epoch, error) = match in_time(about(shared, address)).await {
            Ok((version, epoch)) => (version, epoch, None),
            Err(error) => (None, None, Some(error)),
        };
        let proxy = ProxyState { address: address.clone(), reachable: error.is_none(), error };
        InstalledProxy { proxy, version, policy_epoch }
    }))
    .await
}

/// What a proxy answers, or that it did not in time.
async fn in_time<T>(asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let answer = tokio::time::timeout(ANSWER, asked).await;
    answer.unwrap_or_else(|_| Err(format!("it did not answer within {} s", ANSWER.as_secs())))
}

/// A proxy's version and the epoch of its policy; one of another version may not say the latter.
async fn about(shared: &Shared, address: &str) -> Result<(Option<String>, Option<u64>), String> {
    let client = connect(shared, address).await?;
    let (versions, _) = show(&client, "SHOW VERSION", |row| Some(text(row, "version"))).await?;
    let epoch = |row: &SimpleQueryRow| {
        (text(row, "key") == "policy_epoch").then(|| text(row, "value").parse().ok())?
    };
    let (epochs, _) = show(&client, "SHOW STATE", epoch).await?;
    Ok((versions.into_iter().next(), epochs.into_iter().next()))
}

/// Ends a session of a tenant, at whichever proxy it is. Gives the session that was ended.
pub(crate) async fn end(shared: &Shared, slug: &str, id: &str) -> Result<LiveSession, EndError> {
    let live = live(shared, slug).await;
    let Some(session) = live.sessions.into_iter().find(|session| session.id == id) else {
        let silent = live.proxies.into_iter().find(|proxy| !proxy.reachable);
        return Err(silent.map_or(EndError::Gone, |proxy| EndError::Unreachable(proxy.address)));
    };
    let kill = async {
        let client = connect(shared, &session.proxy).await?;
        let killed = client.batch_execute(&format!("KILL_CLIENT {}", session.ptr)).await;
        killed.map_err(|error| crate::provision::describe(&error))
    };
    let killed = tokio::time::timeout(ANSWER, kill).await.unwrap_or_else(|_| Err("it did not answer".into()));
    killed.map_err(EndError::Refused)?;
    Ok(session)
}

async fn connect(shared: &Shared, address: &str) -> Result<Client, String> {
    let (host, port) = address.rsplit_once(':').ok_or("the address has no port")?;
    let file = shared.config.console_password_file.as_ref().ok_or("console_password_file is not set")?;
    let password = tokio::fs::read_to_string(file).await;
    let password = password.map_err(|error| format!("console_password_file cannot be read: {error}"))?;
    let mut config = Config::new();
    config.host(host.trim_start_matches('[').trim_end_matches(']')).user(USER).dbname(USER);
    config.port(port.parse().map_err(|_| "the address has no port")?).password(password.trim());
    config.application_name("palisade control plane").connect_timeout(ANSWER);
    let (client, connection) =
        config.connect(NoTls).await.map_err(|error| crate::provision::describe(&error))?;
    // It ends with the client.
    tokio::spawn(connection);
    Ok(client)
}

async fn ask(shared: &Shared, address: &str, slug: &str) -> Result<Live, String> {
    let client = connect(shared, address).await?;
    let (sessions, more) = show(&client, "SHOW CLIENTS", |row| session(row, address, slug)).await?;
    let (pools, _) = show(&client, "SHOW POOLS", |row| pool(row, address, slug)).await?;
    let (servers, more_servers) = show(&client, "SHOW SERVERS", |row| server(row, address, slug)).await?;
    Ok(Live { proxies: Vec::new(), sessions, pools, servers, more: more || more_servers })
}

/// The rows of a console's table that are wanted, and whether there are more of them than are kept.
async fn show<T>(
    client: &Client,
    sql: &str,
    read: impl Fn(&SimpleQueryRow) -> Option<T>,
) -> Result<(Vec<T>, bool), String> {
    let said = |error: tokio_postgres::Error| crate::provision::describe(&error);
    let rows = client.simple_query_raw(sql).await.map_err(said)?;
    pin_mut!(rows);
    let mut kept = Vec::new();
    let mut more = false;
    while let Some(message) = rows.next().await {
        if let SimpleQueryMessage::Row(row) = message.map_err(said)?
            && let Some(row) = read(&row)
        {
            if kept.len() < SHOWN { kept.push(row) } else { more = true }
        }
    }
    Ok((kept, more))
}

fn text(row: &SimpleQueryRow, column: &str) -> String {
    row.try_get(column).ok().flatten().unwrap_or_default().to_owned()
}

fn number(row: &SimpleQueryRow, column: &str) -> u64 {
    row.try_get(column).ok().flatten().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn session(row: &SimpleQueryRow, proxy: &str, slug: &str) -> Option<LiveSession> {
    if text(row, "database") != slug {
        return None;
    }
    Some(LiveSession {
        // The console shows it where other poolers show the program's name.
        id: text(row, "application_name"),
        proxy: proxy.to_owned(),
        login: text(row, "user"),
        state: text(row, "state"),
        client: address(&text(row, "addr"), &text(row, "port")),
        connected_at: text(row, "connect_time"),
        since: text(row, "request_time"),
        waiting_ms: number(row, "wait") * 1_000 + number(row, "wait_us") / 1_000,
        server_pid: text(row, "link").parse().ok(),
        pinned_by: text(row, "pinned_by")
            .split(',')
            .filter(|pin| !pin.is_empty())
            .map(str::to_owned)
            .collect(),
        transactions: number(row, "xact_count"),
        encrypted: text(row, "tls") == "TLS",
        ptr: text(row, "ptr").parse().ok()?,
    })
}

fn pool(row: &SimpleQueryRow, proxy: &str, slug: &str) -> Option<LivePool> {
    (text(row, "database") == slug).then(|| LivePool {
        proxy: proxy.to_owned(),
        login: text(row, "user"),
        mode: text(row, "pool_mode"),
        clients: number(row, "cl_active"),
        waiting: number(row, "cl_waiting"),
        servers_used: number(row, "sv_active"),
        servers_idle: number(row, "sv_idle"),
        longest_wait_ms: number(row, "maxwait") * 1_000 + number(row, "maxwait_us") / 1_000,
        paused: number(row, "paused") > 0,
    })
}

fn server(row: &SimpleQueryRow, proxy: &str, slug: &str) -> Option<LiveServer> {
    if text(row, "database") != slug {
        return None;
    }
    Some(LiveServer {
        proxy: proxy.to_owned(),
        login: text(row, "user"),
        state: text(row, "state"),
        pid: text(row, "remote_pid").parse().ok()?,
        connected_at: text(row, "connect_time"),
        encrypted: text(row, "tls") == "TLS",
    })
}

/// An address with its port, as URLs write it.
fn address(ip: &str, port: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}
