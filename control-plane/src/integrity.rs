//! Whether the newest stretch of the audit trail is what was signed: every row of it by its hash, and its tree against the
//! signed heads, from a head that was signed some thousand events ago.

use palisade_trail::{Checker, Fault, Hash, PublicKey, Row, Tree};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::{IsolationLevel, Transaction};
use utoipa::ToSchema;

use crate::Shared;
use crate::http::problem::Problem;
use crate::sealer::{self, Log};

/// The stretch has at least so many events, where there are so many …
const WANTED: i64 = 2_000;
/// … and at most so many: a checkpoint comes after 1,000 events, and one batch of numbers has 2,000.
const MOST: i64 = 8_000;
/// Most faults that are told.
const FAULTS: usize = 20;

/// How the audit trail stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Integrity {
    /// `holds`: the stretch is what was signed. `altered`: it is not. `unsigned`: nothing can be held to a signature yet.
    pub(crate) state: &'static str,
    /// The public key that signs.
    pub(crate) key: String,
    /// How many events have a number.
    pub(crate) size: u64,
    /// How many wait for one.
    pub(crate) unnumbered: i64,
    /// How many events the newest signed head covers.
    pub(crate) signed: u64,
    /// When that was signed (RFC 3339).
    pub(crate) signed_at: Option<String>,
    /// The first number that was looked at.
    pub(crate) checked_from: u64,
    /// How many events were looked at.
    pub(crate) checked: u64,
    /// How many signed heads held.
    pub(crate) checkpoints: u64,
    /// What is wrong, in words, at most 20.
    pub(crate) faults: Vec<String>,
    /// When it was looked at (RFC 3339).
    pub(crate) checked_at: String,
}

/// Looks at the newest stretch.
pub(crate) async fn look(shared: &Shared) -> Result<Integrity, Problem> {
    let mut client = shared.pool.get().await?;
    // One snapshot: a checkpoint must not speak of rows that came after they were read.
    let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let tx = snapshot.start().await?;
    let log = sealer::open(shared, &tx, false).await?;
    let key = log.key.public();
    let size = log.tree.size();
    let waiting = "SELECT count(*) FROM palisade_control.audit_events WHERE number IS NULL";
    let unnumbered: i64 = tx.query_one(waiting, &[]).await?.get(0);
    let newest = "SELECT size, at FROM palisade_control.audit_checkpoints ORDER BY size DESC LIMIT 1";
    let newest = tx.query_opt(newest, &[]).await?;
    let (base, mut faults) = base(&tx, &key, &log).await?;
    let from = base.size();
    let report = checked(&tx, key.clone(), base).await?;
    // A tombstone may speak of events before the stretch too: what was deleted by rule is `palisade audit verify`'s to judge.
    let untold = |fault: &&Fault| matches!(fault, Fault::Untold { .. });
    faults.extend(report.faults.iter().filter(|fault| !untold(fault)).map(ToString::to_string));
    let reaches = from + report.events;
    if faults.is_empty() && reaches != size {
        faults.push(format!("the log has {size} numbers, and its events end at {reaches}"));
    }
    faults.truncate(FAULTS);
    let now = OffsetDateTime::now_utc();
    let text = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    let signed = newest.as_ref().map_or(0, |row| u64::try_from(row.get::<_, i64>(0)).unwrap_or_default());
    Ok(Integrity {
        state: if !faults.is_empty() {
            "altered"
        } else if report.checkpoints == 0 {
            "unsigned"
        } else {
            "holds"
        },
        key: key.text().to_owned(),
        size,
        unnumbered,
        signed,
        signed_at: newest.map(|row| text(row.get(1))),
        checked_from: from,
        checked: report.events,
        checkpoints: report.checkpoints,
        faults,
        checked_at: text(now),
    })
}

/// The tree that the stretch begins with: the newest signed one that has enough events behind it; in a short log that of
/// what was deleted by rule; else, where an earlier release has signed, the log's end. One whose signature does not fit is
/// a fault.
async fn base(tx: &Transaction<'_>, key: &PublicKey, log: &Log) -> Result<(Tree, Vec<String>), Problem> {
    let size = log.tree.size();
    let until = i64::try_from(size).unwrap_or(i64::MAX) - WANTED;
    let short = size - log.kept.size().min(size) < MOST as u64;
    let other = if short { &log.kept } else { &log.tree };
    let sql = "SELECT size, note, roots FROM palisade_control.audit_checkpoints
               WHERE size <= $1 AND roots IS NOT NULL ORDER BY size DESC LIMIT 1";
    let Some(row) = tx.query_opt(sql, &[&until]).await? else { return Ok((other.clone(), Vec::new())) };
    let (at, note, roots): (i64, &str, Vec<Vec<u8>>) = (row.get(0), row.get(1), row.get(2));
    let roots: Option<Vec<Hash>> = roots.into_iter().map(|root| root.try_into().ok()).collect();
    let tree = u64::try_from(at).ok().zip(roots).and_then(|(at, roots)| Tree::resume(at, roots));
    let signed = key.checkpoint(note).ok();
    match tree.zip(signed) {
        Some((tree, signed)) if (signed.size, signed.root) == (tree.size(), tree.root()) => {
            Ok((tree, Vec::new()))
        }
        _ => Ok((other.clone(), vec![format!("the checkpoint of {at} events does not fit its signature")])),
    }
}

/// Checks the rows from a tree on, with the signed heads behind it.
async fn checked(
    tx: &Transaction<'_>,
    key: PublicKey,
    base: Tree,
) -> Result<palisade_trail::Report, Problem> {
    let from = i64::try_from(base.size()).unwrap_or(i64::MAX);
    let mut checker = Checker::new(key, base);
    let rows = tx
        .query(
            "(SELECT number, leaf, event, NULL::text FROM palisade_control.audit_events WHERE number >= $1 ORDER BY number LIMIT $2)
             UNION ALL (SELECT number, leaf, NULL, by::text FROM palisade_control.audit_retired WHERE number >= $1 ORDER BY number LIMIT $2)
             ORDER BY number LIMIT $2",
            &[&from, &MOST],
        )
        .await?;
    let until = from + i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let whole = (rows.len() as i64) < MOST;
    let notes = tx
        .query(
            "SELECT note FROM palisade_control.audit_checkpoints WHERE size >= $1 AND (size <= $2 OR $3) ORDER BY size",
            &[&from, &until, &whole],
        )
        .await?;
    notes.iter().for_each(|row| checker.checkpoint(row.get(0)));
    for row in &rows {
        let number = u64::try_from(row.get::<_, i64>(0)).unwrap_or_default();
        let leaf = row.get::<_, Option<Vec<u8>>>(1).and_then(|leaf| leaf.try_into().ok()).unwrap_or_default();
        checker.row(Row { number, leaf, event: row.get(2), retired: row.get(3) });
    }
    Ok(checker.finish())
}
