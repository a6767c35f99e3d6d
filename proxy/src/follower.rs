//! The tenants, kept in memory and in a file, followed without restart.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_catalog::ids::TenantId;
use palisade_catalog::names::{CHANGES_CHANNEL, PROXY_ROLE};
use palisade_catalog::snapshot::{PolicyState, PolicyText, Snapshot, TenantEntry};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

use crate::Shared;

/// Longest wait between two tries to reach the catalog.
const RETRY: Duration = Duration::from_secs(1);
/// Longest wait of a client for the first answer of the catalog after a start.
const FIRST_ANSWER: Duration = Duration::from_secs(2);
/// Shortest time between two writings of the file.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// The time between two writings is so many times what the last one took: thousands of tenants are not written all day.
const SAVE_REST: u32 = 50;

/// The last known tenants; none where there is no file or it cannot be read.
pub(crate) fn load(file: &Path) -> Snapshot {
    let Ok(text) = std::fs::read(file) else { return Snapshot::default() };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(%error, "the snapshot file cannot be read; waiting for the catalog");
        Snapshot::default()
    })
}

/// Follows the catalog for ever. While it is away the last known tenants are served.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let (changed, unsaved) = watch::channel(());
    tokio::spawn(keep(shared.clone(), unsaved));
    loop {
        if let Err(error) = follow_once(&shared, &changed).await {
            tracing::warn!(%error, "the catalog is away; serving the last known tenants");
            shared.asked.send_replace(true);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Waits, after a start, until the catalog was asked once or that takes too long: a client must not be turned away because
/// the snapshot file is a little older than its login.
pub(crate) async fn asked(shared: &Shared) {
    if *shared.asked.borrow() {
        return;
    }
    let mut asked = shared.asked.subscribe();
    // Too long, or the end of the process: the last known tenants are served.
    let _ = tokio::time::timeout(FIRST_ANSWER, asked.wait_for(|asked| *asked)).await;
}

/// Keeps the file like the snapshot, beside the following: writing thousands of tenants takes longer than a change may
/// wait. Ends with the follower.
async fn keep(shared: Arc<Shared>, mut unsaved: watch::Receiver<()>) {
    while unsaved.changed().await.is_ok() {
        let (file, snapshot) = (shared.config().snapshot_file.clone(), shared.tenants.load_full());
        let began = Instant::now();
        let saved = tokio::task::spawn_blocking(move || save(&file, &snapshot)).await;
        if let Err(error) = saved.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            tracing::warn!(%error, "the snapshot file cannot be written");
        }
        tokio::time::sleep(SAVE_INTERVAL.max(began.elapsed() * SAVE_REST)).await;
    }
}

/// Connects as the proxy's own role; notifications wake whoever waits.
pub(crate) async fn connect(shared: &Shared, told: &Arc<Notify>) -> Result<Client, tokio_postgres::Error> {
    let (mut config, tls) = shared.upstream.library();
    config
        .dbname(&shared.config().database)
        .user(PROXY_ROLE)
        .password(shared.master.server_password(PROXY_ROLE, 1))
        .application_name("palisade proxy")
        .options("-c search_path=pg_catalog,pg_temp -c statement_timeout=10000");
    match tls {
        Some(tls) => {
            let (client, connection) = config.connect(tls).await?;
            tokio::spawn(listen(connection, told.clone()));
            Ok(client)
        }
        None => {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(listen(connection, told.clone()));
            Ok(client)
        }
    }
}

/// Drives a connection to its end and wakes whoever waits at every notification.
async fn listen<S, T>(mut connection: Connection<S, T>, told: Arc<Notify>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        if matches!(message, AsyncMessage::Notification(_)) {
            told.notify_one();
        }
    }
}

async fn follow_once(
    shared: &Shared,
    unsaved: &watch::Sender<()>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let told = Arc::new(Notify::new());
    let client = connect(shared, &told).await?;
    client.batch_execute(&format!("LISTEN {CHANGES_CHANNEL}")).await?;
    let query = client
        .prepare("SELECT xmin::text, entries FROM palisade_control.tenants_since($1::text::xid8)")
        .await?;
    // After a time away everything is asked for: a tenant may have gone in between.
    let mut since = 0u64;
    loop {
        let row = client.query_one(&query, &[&since.to_string()]).await?;
        let xmin: u64 = row.get::<_, String>(0).parse()?;
        let changed: Vec<TenantEntry> = serde_json::from_value(row.get(1))?;
        let policy = policy(&client, shared).await?;
        apply(shared, since == 0, xmin, changed, policy, unsaved);
        shared.asked.send_replace(true);
        since = xmin;
        // Told of a change, or, should that be lost, after a while anyway.
        let interval = Duration::from_millis(shared.config().follow_interval_ms);
        let _ = tokio::time::timeout(interval, told.notified()).await;
    }
}

/// The policy in force. Its texts are fetched only where the epoch is another than ours.
async fn policy(
    client: &Client,
    shared: &Shared,
) -> Result<PolicyState, Box<dyn std::error::Error + Send + Sync>> {
    let known = shared.tenants.load().policy.clone();
    let row = client
        .query_one(
            "SELECT epoch, model, policy, observing FROM palisade_control.policy_since($1)",
            &[&i64::try_from(known.epoch)?],
        )
        .await;
    let row = match row {
        // A catalog of an earlier release has no policies: the last one stays.
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_FUNCTION) => return Ok(known),
        other => other?,
    };
    let epoch = u64::try_from(row.get::<_, i64>(0))?;
    let observing = row.get::<_, Vec<String>>(3).into_iter().map(TenantId::try_from);
    let observing = observing.collect::<Result<_, _>>()?;
    if epoch == known.epoch {
        return Ok(PolicyState { observing, ..known });
    }
    let text = match (row.get(1), row.get(2)) {
        (Some(model), Some(policy)) => Some(PolicyText { model, policy }),
        _ => None,
    };
    Ok(PolicyState { epoch, text, observing })
}

/// Lets a policy take effect: every verdict is asked again. One that cannot be used leaves the last one in force.
fn enforce(shared: &Shared, old: &PolicyState, wished: PolicyState) -> PolicyState {
    if wished == *old {
        return wished;
    }
    match shared.policy.load().next(&wished) {
        Ok(policy) => {
            tracing::info!(epoch = wished.epoch, "a policy is in force");
            shared.policy.store(Arc::new(policy));
            wished
        }
        Err(error) => {
            tracing::error!(%error, epoch = wished.epoch, "the policy cannot be used; the last one stays");
            shared.metrics.policy_errors.inc();
            old.clone()
        }
    }
}

fn apply(
    shared: &Shared,
    all: bool,
    xmin: u64,
    changed: Vec<TenantEntry>,
    policy: PolicyState,
    unsaved: &watch::Sender<()>,
) {
    let old = shared.tenants.load();
    // The same rows are seen again while an older transaction runs: nothing is copied for them.
    if !all && policy == old.policy && changed.iter().all(|tenant| known(&old, tenant)) {
        return;
    }
    let mut next = if all { Snapshot::default() } else { Snapshot::clone(&old) };
    next.apply(xmin, changed);
    next.policy = enforce(shared, &old.policy, policy);
    let same = next.tenants == old.tenants && next.policy == old.policy;
    shared.tenants.store(Arc::new(next));
    if same {
        return;
    }
    let now = shared.tenants.load();
    shared.pools.follow(shared, &now);
    shared.clients.follow(&now);
    unsaved.send_replace(());
}

/// Whether a changed row says what is known already.
fn known(old: &Snapshot, tenant: &TenantEntry) -> bool {
    match old.tenants.get(&tenant.slug) {
        Some(held) if held.id == tenant.id => **held == *tenant,
        _ => tenant.gone && !old.tenants.values().any(|held| held.id == tenant.id),
    }
}

/// Replaces the file as a whole. It holds verifiers, so only its owner may read it.
fn save(file: &Path, snapshot: &Snapshot) -> std::io::Result<()> {
    // Two processes may share the file at an upgrade: each has a draft of its own.
    let draft = file.with_extension(format!("{}.new", std::process::id()));
    let mut out =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    out.write_all(&serde_json::to_vec(snapshot)?)?;
    out.sync_all()?;
    std::fs::rename(&draft, file)
}
