//! Numbers the audit trail's events and signs the log's head: what was altered afterwards does not fit the signature.
//!
//! One control plane at a time seals, by a lock on the log's row. An event is numbered within a second of its arrival; until
//! then only the database's own rights protect it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::Transaction;
use palisade_trail::{Checkpoint, Hash, Key, Tree, leaf};
use tokio::sync::watch;

use crate::Shared;
use crate::http::problem::Problem;

/// How often new events are looked for.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most events that are numbered in one transaction.
const BATCH_EVENTS: i64 = 2_000;
/// A checkpoint is signed after so many events …
const CHECKPOINT_EVENTS: u64 = 1_000;
/// … or after this time, where there are any.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// What is remembered between two rounds: a log that fits it no longer was altered under our hands.
#[derive(Default)]
pub(crate) struct Memory {
    checkpoint: Option<Checkpoint>,
    signed_at: Option<Instant>,
}

/// The log as the catalog has it.
pub(crate) struct Log {
    pub(crate) key: Key,
    pub(crate) tree: Tree,
    /// The tree of what was deleted by rule.
    pub(crate) kept: Tree,
}

/// Seals until the shutdown, and once more then.
pub(crate) async fn forever(shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    let mut memory = Memory::default();
    let mut first = true;
    loop {
        match once(&shared, &mut memory, first).await {
            // More is waiting.
            Ok(sealed) if sealed == BATCH_EVENTS as u64 => continue,
            Ok(_) => first = false,
            Err(problem) => tracing::error!(error = %problem.detail, "the audit trail cannot be sealed"),
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = shutdown.wait_for(|stop| *stop) => break,
        }
    }
    if let Err(problem) = once(&shared, &mut memory, true).await {
        tracing::error!(error = %problem.detail, "the audit trail's last checkpoint is missing");
    }
}

/// Numbers the events that have come, and signs the head where it is time, or where it is wished.
async fn once(shared: &Shared, memory: &mut Memory, sign: bool) -> Result<u64, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    if !sign && !due(shared, &tx, memory).await? {
        return Ok(0);
    }
    let Log { key, mut tree, kept } = open(shared, &tx, true).await?;
    let newest = unaltered(&tx, &key, &tree, kept.size(), memory).await?;
    let sealed = number(&tx, &mut tree).await?;
    let since = tree.size() - newest.as_ref().map_or(0, |checkpoint| checkpoint.size);
    let unsigned = newest.is_none() || since > 0;
    let due = memory.signed_at.is_none_or(|at| at.elapsed() >= CHECKPOINT_INTERVAL);
    let mut signed = None;
    if unsigned && (sign || due || since >= CHECKPOINT_EVENTS) {
        let checkpoint = key.sign(&tree).map_err(|error| Problem::internal(error.to_string()))?;
        tx.execute(
            "INSERT INTO palisade_control.audit_checkpoints (size, note, roots) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            &[&signed_size(tree.size())?, &checkpoint.note, &roots(&tree)],
        )
        .await?;
        signed = Some(checkpoint);
    }
    tx.commit().await?;
    if let Some(checkpoint) = signed {
        // Whoever keeps the log of this process keeps a witness.
        tracing::info!(target: "audit", size = checkpoint.size, checkpoint = %checkpoint.note.replace('\n', "\\n"), "checkpoint");
        memory.signed_at = Some(Instant::now());
        memory.checkpoint = Some(checkpoint);
    }
    Ok(sealed)
}

/// Whether there is anything to number or to sign: a log at rest is read, and not locked. What was altered is told all the
/// same.
async fn due(shared: &Shared, tx: &Transaction<'_>, memory: &Memory) -> Result<bool, Problem> {
    let Log { key, tree, kept } = open(shared, tx, false).await?;
    let newest = unaltered(tx, &key, &tree, kept.size(), memory).await?;
    if newest.is_none_or(|checkpoint| checkpoint.size < tree.size()) {
        return Ok(true);
    }
    let waits = "SELECT EXISTS (SELECT FROM palisade_control.audit_events WHERE number IS NULL)";
    Ok(tx.query_one(waits, &[]).await?.get(0))
}

/// The log; locked where it is to grow.
pub(crate) async fn open(shared: &Shared, tx: &Transaction<'_>, grow: bool) -> Result<Log, Problem> {
    let lock = if grow { "FOR UPDATE" } else { "" };
    let row = tx
        .query_one(
            &format!(
                "SELECT origin, size, roots, kept_from, kept_roots FROM palisade_control.audit_log {lock}"
            ),
            &[],
        )
        .await?;
    let origin: String = row.get(0);
    let key = Key::new(&origin, &shared.master.audit_seed(&origin));
    let key = key.map_err(|error| Problem::internal(error.to_string()))?;
    Ok(Log { key, tree: tree(row.get(1), row.get(2))?, kept: tree(row.get(3), row.get(4))? })
}

fn tree(size: i64, roots: Vec<Vec<u8>>) -> Result<Tree, Problem> {
    let roots: Option<Vec<Hash>> = roots.into_iter().map(|root| root.try_into().ok()).collect();
    let tree = u64::try_from(size).ok().zip(roots).and_then(|(size, roots)| Tree::resume(size, roots));
    tree.ok_or_else(|| Problem::internal("the audit log's tree was altered in the database".into()))
}

fn roots(tree: &Tree) -> Vec<Vec<u8>> {
    tree.roots().iter().map(|root| root.to_vec()).collect()
}

fn signed_size(size: u64) -> Result<i64, Problem> {
    i64::try_from(size).map_err(|_| Problem::internal("the audit log is too long".into()))
}

/// The newest checkpoint. Refuses to go on with a log that does not fit what was signed last.
async fn unaltered(
    tx: &Transaction<'_>,
    key: &Key,
    tree: &Tree,
    kept: u64,
    memory: &Memory,
) -> Result<Option<Checkpoint>, Problem> {
    let altered = |what: &str| {
        Problem::internal(format!("{what}: the audit log was altered; run `palisade audit verify`"))
    };
    let newest = tx
        .query_opt("SELECT note FROM palisade_control.audit_checkpoints ORDER BY size DESC LIMIT 1", &[])
        .await?;
    let newest = match newest {
        Some(row) => Some(
            key.public()
                .checkpoint(row.get(0))
                .map_err(|error| altered(&format!("the newest checkpoint cannot be trusted ({error})")))?,
        ),
        None if tree.size() > kept => return Err(altered("there are numbers and no checkpoint")),
        None => None,
    };
    for known in newest.iter().chain(&memory.checkpoint) {
        if known.size > tree.size() || known.size == tree.size() && known.root != tree.root() {
            return Err(altered(&format!("a checkpoint of {} events does not fit", known.size)));
        }
    }
    Ok(newest)
}

/// Gives the events that have none a number, in the order of their times.
async fn number(tx: &Transaction<'_>, tree: &mut Tree) -> Result<u64, Problem> {
    let rows = tx
        .query(
            "SELECT id, event, month FROM palisade_control.audit_events WHERE number IS NULL ORDER BY at, id LIMIT $1",
            &[&BATCH_EVENTS],
        )
        .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let (mut ids, mut numbers, mut leaves, mut months) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        let hash = leaf(tree.size(), &row.get::<_, serde_json::Value>(1));
        ids.push(row.get::<_, uuid::Uuid>(0));
        months.push(row.get::<_, time::Date>(2));
        numbers.push(signed_size(tree.size())?);
        leaves.push(hash.to_vec());
        tree.push(hash);
    }
    tx.execute(
        "UPDATE palisade_control.audit_events e SET number = n.number, leaf = n.leaf
         FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::date[]) AS n (id, number, leaf, month)
         WHERE e.id = n.id AND e.month = n.month",
        &[&ids, &numbers, &leaves, &months],
    )
    .await?;
    tx.execute(
        "UPDATE palisade_control.audit_log SET size = $1, roots = $2",
        &[&signed_size(tree.size())?, &roots(tree)],
    )
    .await?;
    Ok(rows.len() as u64)
}
