//! Gives the audit trail to sinks beside the catalog: standard output, a file, syslog, OpenTelemetry. Each has its own place
//! in the log, so a slow or dead one keeps nobody waiting: it is tried again from where it stood. An event is given at
//! least once, with its number, so that a receiver sees a gap or a repetition.

mod sink;

use std::sync::Arc;
use std::time::Duration;

use palisade_catalog::audit::Event;
use tokio::sync::watch;

use crate::Shared;
use crate::http::problem::Problem;
pub(crate) use sink::Sink;

/// How often new events are looked for.
const INTERVAL: Duration = Duration::from_secs(1);
/// Longest pause before a sink that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Most events that are given at once.
const BATCH_EVENTS: i64 = 500;

/// An event and its number.
pub(crate) type Numbered = (i64, Event);

/// Feeds every sink that is configured until the shutdown.
pub(crate) async fn all(shared: Arc<Shared>, shutdown: watch::Receiver<bool>) {
    // Addresses were checked with the settings.
    let sinks = Sink::all(&shared.config).unwrap_or_default();
    while let Err(problem) = configured(&shared, &sinks).await {
        tracing::warn!(error = %problem.detail, "the audit trail's sinks cannot be noted");
        tokio::time::sleep(INTERVAL).await;
    }
    futures::future::join_all(sinks.into_iter().map(|sink| forever(shared.clone(), sink, shutdown.clone())))
        .await;
}

/// Feeds one sink until the shutdown.
async fn forever(shared: Arc<Shared>, mut sink: Sink, mut shutdown: watch::Receiver<bool>) {
    let mut pause = INTERVAL;
    loop {
        pause = match once(&shared, &mut sink).await {
            // More is waiting.
            Ok(given) if given == BATCH_EVENTS as usize => continue,
            Ok(_) => INTERVAL,
            Err(problem) => {
                tracing::warn!(sink = sink.name(), error = %problem.detail, "audit events wait for a sink");
                (pause * 2).min(LONGEST_PAUSE)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

/// Notes the sinks that there are: for those the trail's retention waits.
async fn configured(shared: &Shared, sinks: &[Sink]) -> Result<(), Problem> {
    let names: Vec<&str> = sinks.iter().map(Sink::name).collect();
    let client = shared.pool.get().await?;
    client.execute("DELETE FROM palisade_control.audit_sinks WHERE name <> ALL ($1)", &[&names]).await?;
    client
        .execute(
            "INSERT INTO palisade_control.audit_sinks (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
            &[&names],
        )
        .await?;
    Ok(())
}

/// Gives the next events to a sink; says how many. Another control plane that feeds it already goes on alone.
async fn once(shared: &Shared, sink: &mut Sink) -> Result<usize, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let place = tx
        .query_opt(
            "SELECT number FROM palisade_control.audit_sinks WHERE name = $1 FOR UPDATE SKIP LOCKED",
            &[&sink.name()],
        )
        .await?;
    let Some(place) = place else { return Ok(0) };
    let rows = tx
        .query(
            "SELECT number, event FROM palisade_control.audit_events WHERE number > $1 ORDER BY number LIMIT $2",
            &[&place.get::<_, i64>(0), &BATCH_EVENTS],
        )
        .await?;
    let events = rows.iter().map(|row| Ok((row.get(0), serde_json::from_value(row.get(1))?)));
    let events: Result<Vec<Numbered>, serde_json::Error> = events.collect();
    let events =
        events.map_err(|error| Problem::internal(format!("an audit event cannot be read: {error}")))?;
    let Some((last, _)) = events.last() else { return Ok(0) };
    let result = sink.give(&events).await;
    let (number, error) = match &result {
        Ok(()) => (Some(last), None),
        Err(error) => (None, Some(error.to_string())),
    };
    tx.execute(
        "UPDATE palisade_control.audit_sinks SET number = coalesce($2, number), error = $3, at = now() WHERE name = $1",
        &[&sink.name(), &number, &error],
    )
    .await?;
    tx.commit().await?;
    result.map(|()| events.len()).map_err(|error| Problem::unavailable(error.to_string()))
}
