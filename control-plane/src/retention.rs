//! Deletes what the audit trail need not keep any longer: whole months, or the events of a class of a whole month. What is
//! deleted was signed before, and an event of the log, a tombstone, says what went and by which rule. What a hold covers
//! stays, with its whole month.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use futures::StreamExt;
use palisade_catalog::audit::Event;
use palisade_trail::{Hash, RETIRE, Retired, Tree};
use time::{Date, Month, OffsetDateTime};
use tokio::sync::watch;

use crate::http::problem::Problem;
use crate::{Shared, audit, provision, sealer};

/// How often is looked for what may go.
const INTERVAL: Duration = Duration::from_secs(3600);
/// Months that are made ahead, the current one included.
const AHEAD: i32 = 3;
/// One control plane at a time: the key of its advisory lock.
const LOCK: i64 = 0x7061_6c69_6175_6474;

/// Makes months and deletes them until the shutdown.
pub(crate) async fn forever(shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    loop {
        if let Err(problem) = once(&shared, OffsetDateTime::now_utc()).await {
            tracing::error!(error = %problem.detail, "the audit trail's months cannot be looked after");
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

/// Makes the months that are to come, and deletes what may go.
async fn once(shared: &Shared, now: OffsetDateTime) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let today = now.date();
    for ahead in 0..AHEAD {
        client
            .execute(
                "SELECT palisade_control.audit_month(($1::date + $2 * interval '1 month')::date)",
                &[&today, &f64::from(ahead)],
            )
            .await?;
    }
    for month in months(&client).await? {
        for class in ["A", "B", "C"] {
            if over(shared.config.audit_days(class), month, now) {
                let tx = client.transaction().await?;
                if alone(&tx).await? {
                    thin(&tx, month, class).await?;
                    tx.commit().await?;
                }
            }
        }
        let whole = ["A", "B", "C"].iter().all(|class| over(shared.config.audit_days(class), month, now));
        let tx = client.transaction().await?;
        if whole && alone(&tx).await? && detach(shared, &tx, month).await? {
            tx.commit().await?;
        }
    }
    Ok(())
}

/// Whether a month's events of a class may go: kept for so many days after the month's end; 0 is for ever.
fn over(days: u32, month: Date, now: OffsetDateTime) -> bool {
    let end = next(month).midnight().assume_utc();
    days > 0 && end + time::Duration::days(i64::from(days)) <= now
}

/// The first day of the month after.
fn next(month: Date) -> Date {
    let year = if month.month() == Month::December { month.year() + 1 } else { month.year() };
    // The first of a month exists in every year that there is.
    Date::from_calendar_date(year, month.month().next(), 1).unwrap_or(Date::MAX)
}

/// Those that have a table of their own, the oldest first.
async fn months(client: &tokio_postgres::Client) -> Result<Vec<Date>, Problem> {
    let rows = client
        .query(
            "SELECT to_date(substring(relname FROM 'audit_events_(\\d{4}_\\d\\d)$'), 'YYYY_MM') FROM pg_inherits
             JOIN pg_class ON pg_class.oid = inhrelid
             WHERE inhparent = 'palisade_control.audit_events'::regclass AND relname ~ 'audit_events_\\d{4}_\\d\\d$' ORDER BY 1",
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Whether nobody else is at it, until the transaction's end. Long deletions are no reason to give up.
async fn alone(tx: &Transaction<'_>) -> Result<bool, Problem> {
    tx.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '5s'").await?;
    Ok(tx.query_one("SELECT pg_try_advisory_xact_lock($1)", &[&LOCK]).await?.get(0))
}

/// Whether everything of a month (of one class, where it is given) is signed and was given to every sink, and no hold covers
/// anything of the month: it stays whole then.
async fn may_go(tx: &Transaction<'_>, month: Date, class: Option<&str>) -> Result<bool, Problem> {
    let row = tx
        .query_one(
            "SELECT count(*) FILTER (WHERE number IS NULL) = 0
                AND coalesce(max(number) < (SELECT max(size) FROM palisade_control.audit_checkpoints), true)
                AND NOT EXISTS (SELECT FROM palisade_control.audit_sinks s WHERE s.number < max(e.number))
                AND NOT EXISTS (SELECT FROM palisade_control.audit_events held JOIN palisade_control.audit_holds h
                  ON h.released_at IS NULL AND coalesce(h.tenant_id = held.tenant_id, h.tenant_id IS NULL)
                    AND coalesce(held.at >= h.since, true) AND coalesce(held.at < h.until, true)
                  WHERE held.month = $1)
             FROM palisade_control.audit_events e WHERE month = $1 AND ($2::text IS NULL OR class = $2)",
            &[&month, &class],
        )
        .await?;
    Ok(row.get(0))
}

fn tombstone(month: Date) -> Event {
    let mut event = provision::system_event(RETIRE, "system");
    event.object = Some(format!("month {}-{:02}", month.year(), u8::from(month.month())));
    event
}

/// Deletes a month's events of one class, and keeps their leaves: the log can be checked without them.
async fn thin(tx: &Transaction<'_>, month: Date, class: &str) -> Result<(), Problem> {
    let any = "SELECT EXISTS (SELECT FROM palisade_control.audit_events WHERE month = $1 AND class = $2)";
    if !tx.query_one(any, &[&month, &class]).await?.get::<_, bool>(0)
        || !may_go(tx, month, Some(class)).await?
    {
        return Ok(());
    }
    let mut event = tombstone(month);
    tx.execute(
        "WITH gone AS (DELETE FROM palisade_control.audit_events WHERE month = $1 AND class = $2 RETURNING number, leaf)
         INSERT INTO palisade_control.audit_retired (number, leaf, month, by) SELECT number, leaf, $1, $3 FROM gone",
        &[&month, &class, &event.id],
    )
    .await?;
    let mut retired = Retired::default();
    leaves(
        tx,
        "SELECT number, leaf FROM palisade_control.audit_retired WHERE by = $1 ORDER BY number",
        &event.id,
        |number, leaf| {
            retired.add(number, &leaf);
            Ok(())
        },
    )
    .await?;
    event.detail = serde_json::json!({
        "class": class, "first": retired.first, "last": retired.last, "count": retired.count, "digest": retired.digest(),
    });
    tracing::info!(class, month = %month, events = retired.count, "audit events were deleted by rule");
    audit::insert(tx, &event).await?;
    Ok(())
}

/// Detaches and drops the log's oldest month; says whether it did.
async fn detach(shared: &Shared, tx: &Transaction<'_>, month: Date) -> Result<bool, Problem> {
    if !may_go(tx, month, None).await? {
        return Ok(false);
    }
    let older = "SELECT EXISTS (SELECT FROM palisade_control.audit_events WHERE month < $1)
                     OR EXISTS (SELECT FROM palisade_control.audit_retired WHERE month < $1)";
    if tx.query_one(older, &[&month]).await?.get(0) {
        return Ok(false);
    }
    let log = sealer::open(shared, tx, false).await?;
    // Events that came at the month's end may stand behind the first of the next: these stay.
    let cut = "SELECT least((SELECT min(number) FROM palisade_control.audit_events WHERE month > $1),
                            (SELECT min(number) FROM palisade_control.audit_retired WHERE month > $1))";
    let cut: Option<i64> = tx.query_one(cut, &[&month]).await?.get(0);
    let Some(cut) = cut else { return Ok(false) };
    for table in ["audit_events", "audit_retired"] {
        let stay =
            format!("UPDATE palisade_control.{table} SET month = $1 WHERE month = $2 AND number >= $3");
        tx.execute(&stay, &[&next(month), &month, &cut]).await?;
    }
    let mut kept: Tree = log.kept;
    let until = u64::try_from(cut).unwrap_or_default();
    let all = "SELECT number, leaf FROM (SELECT number, leaf FROM palisade_control.audit_events WHERE month = $1
                 UNION ALL SELECT number, leaf FROM palisade_control.audit_retired WHERE month = $1) AS l ORDER BY number";
    let there = |kept: &Tree, number| {
        let missing = || format!("event {} is missing: run `palisade audit verify`", kept.size());
        if number == kept.size() { Ok(()) } else { Err(Problem::internal(missing())) }
    };
    leaves(tx, all, &month, |number, leaf| {
        there(&kept, number)?;
        kept.push(leaf);
        Ok(())
    })
    .await?;
    there(&kept, until)?;
    let mut event = tombstone(month);
    event.detail =
        serde_json::json!({ "until": until, "root": data_encoding::HEXLOWER.encode(&kept.root()) });
    audit::insert(tx, &event).await?;
    let roots: Vec<Vec<u8>> = kept.roots().iter().map(|root| root.to_vec()).collect();
    tx.execute("UPDATE palisade_control.audit_log SET kept_from = $1, kept_roots = $2", &[&cut, &roots])
        .await?;
    tx.execute("DELETE FROM palisade_control.audit_retired WHERE number < $1", &[&cut]).await?;
    tx.execute("DELETE FROM palisade_control.audit_checkpoints WHERE size < $1", &[&cut]).await?;
    let table = format!("palisade_control.audit_events_{}_{:02}", month.year(), u8::from(month.month()));
    tx.batch_execute(&format!(
        "ALTER TABLE palisade_control.audit_events DETACH PARTITION {table}; DROP TABLE {table}"
    ))
    .await?;
    tracing::info!(month = %month, until, "a month of the audit trail was deleted by rule");
    Ok(true)
}

/// Walks through leaves in the order of their numbers.
async fn leaves(
    tx: &Transaction<'_>,
    sql: &str,
    parameter: &(dyn tokio_postgres::types::ToSql + Sync),
    mut each: impl FnMut(u64, Hash) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut rows = std::pin::pin!(tx.query_raw(sql, [parameter]).await?);
    while let Some(row) = rows.next().await {
        let row = row?;
        let leaf: Option<Hash> = row.get::<_, Option<Vec<u8>>>(1).and_then(|leaf| leaf.try_into().ok());
        let number = row.get::<_, Option<i64>>(0).and_then(|number| u64::try_from(number).ok());
        let (Some(leaf), Some(number)) = (leaf, number) else {
            return Err(Problem::internal("an event has no leaf: run `palisade audit verify`".into()));
        };
        each(number, leaf)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_over_when_its_last_event_is_old_enough() {
        let at = |year, month, day| Date::from_calendar_date(year, month, day).unwrap();
        let december = at(2025, Month::December, 1);
        assert_eq!(next(december), at(2026, Month::January, 1));
        for (days, now, want) in [
            (0, at(2999, Month::January, 1), false),
            (30, at(2026, Month::January, 30), false),
            (30, at(2026, Month::January, 31), true),
            (1, at(2026, Month::January, 1), false),
            (1, at(2026, Month::January, 2), true),
        ] {
            assert_eq!(over(days, december, now.midnight().assume_utc()), want, "{days} days at {now}");
        }
    }
}
