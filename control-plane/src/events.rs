//! What happens to operations, for those who watch: a reader that wakes on PostgreSQL's notifications, and queries.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, Client, Error};
use uuid::Uuid;

use crate::Shared;
use crate::http::problem::Problem;

/// Most events that one reading brings.
const READ: i64 = 500;
/// Most events that a watcher of all operations remembers to have told.
const REMEMBERED: usize = 5_000;
/// Wait before the notifications' connection is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Days that events are kept.
const KEPT_DAYS: i32 = 7;
/// Most events that one clean-up deletes.
const CLEANED: i64 = 10_000;

/// One event for a watcher.
#[derive(Debug)]
pub(crate) struct Told {
    /// What a watcher sends to read on behind it.
    pub(crate) id: String,
    /// `operation` or `step`.
    pub(crate) kind: String,
    pub(crate) data: serde_json::Value,
}

/// Where a watcher stands.
#[derive(Debug)]
pub(crate) enum Cursor {
    /// One operation: behind this number.
    Operation(Uuid, i64),
    /// All operations: from this transaction on, but for what was told already.
    All { from: u64, told: HashSet<i64> },
}

impl Cursor {
    /// Of one operation, behind the last event's id where there is one.
    pub(crate) fn operation(id: Uuid, last: Option<&str>) -> Result<Self, Problem> {
        let seq = last.map_or(Ok(0), |last| last.parse().map_err(|_| bad_id()))?;
        Ok(Self::Operation(id, seq))
    }

    /// Of all operations, from now on or from the last event's id.
    pub(crate) async fn all(client: &Client, last: Option<&str>) -> Result<Self, Problem> {
        if let Some(last) = last {
            let (from, seq) = last.split_once('-').ok_or_else(bad_id)?;
            let (from, seq) = (from.parse().map_err(|_| bad_id())?, seq.parse().map_err(|_| bad_id())?);
            return Ok(Self::All { from, told: HashSet::from([seq]) });
        }
        let row = client.query_one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text", &[]).await?;
        let from = row.get::<_, &str>(0).parse().map_err(|_| Problem::internal("no snapshot".into()))?;
        Ok(Self::All { from, told: HashSet::new() })
    }

    /// What has happened since.
    pub(crate) async fn read(&mut self, client: &Client) -> Result<Vec<Told>, Error> {
        match self {
            Self::Operation(id, behind) => {
                let rows = client
                    .query(
                        "SELECT seq, kind, data || jsonb_build_object('at', at)
                         FROM palisade_control.operation_events WHERE operation_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
                        &[id, behind, &READ],
                    )
                    .await?;
                *behind = rows.last().map_or(*behind, |row| row.get(0));
                Ok(rows
                    .iter()
                    .map(|row| Told {
                        id: row.get::<_, i64>(0).to_string(),
                        kind: row.get(1),
                        data: row.get(2),
                    })
                    .collect())
            }
            Self::All { from, told } => read_all(client, from, told).await,
        }
    }
}

async fn read_all(client: &Client, from: &mut u64, told: &mut HashSet<i64>) -> Result<Vec<Told>, Error> {
    let known: Vec<i64> = told.iter().copied().collect();
    let rows = client
        .query(
            "SELECT seq, kind, data || jsonb_build_object('at', at), xid::text,
                    pg_snapshot_xmin(pg_current_snapshot())::text
             FROM palisade_control.operation_events WHERE xid >= $1::text::xid8 AND seq <> ALL ($2)
             ORDER BY xid, seq LIMIT $3",
            &[&from.to_string(), &known, &READ],
        )
        .await?;
    let mut new = Vec::new();
    for row in &rows {
        let (seq, xid): (i64, u64) = (row.get(0), number(row.get(3)));
        told.insert(seq);
        // Behind this transaction none is open that could still bring an earlier event.
        let safe = xid.min(number(row.get(4)));
        new.push(Told { id: format!("{safe}-{seq}"), kind: row.get(1), data: row.get(2) });
        if safe > *from && rows.len() < usize::try_from(READ).unwrap_or(usize::MAX) {
            *from = safe;
        }
    }
    if told.len() > REMEMBERED {
        // A transaction that stays open for long may make a watcher hear an event twice; its number tells.
        told.clear();
    }
    Ok(new)
}

fn number(text: &str) -> u64 {
    // PostgreSQL prints its transaction numbers in digits.
    text.parse().unwrap_or_default()
}

fn bad_id() -> Problem {
    Problem::bad_request("Last-Event-ID is not one that this stream gave")
}

/// Follows the notifications for ever; every one wakes the watchers.
pub(crate) async fn follow(shared: Arc<Shared>) {
    loop {
        if let Err(error) = follow_once(&shared).await {
            tracing::warn!(%error, "operations are not followed; watchers look by themselves");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow_once(shared: &Shared) -> Result<(), Error> {
    let (client, mut connection) = shared.postgres.connect(&shared.postgres.config()).await?;
    let wake: watch::Sender<u64> = shared.happened.clone();
    let reading = tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if matches!(message, AsyncMessage::Notification(_)) {
                wake.send_modify(|n| *n += 1);
            }
        }
    });
    client.batch_execute("LISTEN palisade_operations").await?;
    // It ends with the connection; a task that panicked ends it too.
    let _ = reading.await;
    Ok(())
}

/// Deletes events that are a week old, some at a time.
pub(crate) async fn clean(shared: &Shared) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    client
        .execute(
            "DELETE FROM palisade_control.operation_events WHERE seq IN (
               SELECT seq FROM palisade_control.operation_events WHERE at < now() - make_interval(days => $1)
               ORDER BY at LIMIT $2)",
            &[&KEPT_DAYS, &CLEANED],
        )
        .await?;
    Ok(())
}
