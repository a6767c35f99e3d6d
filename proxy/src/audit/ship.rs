//! Ships the spool to the catalog, at least once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use palisade_catalog::audit::{Class, Event, Plane, WRITE};
use time::OffsetDateTime;

use super::spool::{self, Found, Place, State};
use super::{BATCH_EVENTS, SHIP_INTERVAL};
use crate::{Shared, follower};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Ships the spool to the catalog for ever; while it is away the spool grows.
pub(crate) async fn ship(shared: Arc<Shared>) {
    loop {
        if let Err(error) = ship_once(&shared).await {
            tracing::warn!(%error, "audit events wait in the spool");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn ship_once(shared: &Shared) -> Result<(), Failure> {
    let client = follower::connect(shared, &Arc::default()).await?;
    let orphans: Vec<PathBuf> =
        shared.audit.orphans.lock().iter().map(|folder| folder.path.clone()).collect();
    for folder in orphans {
        while batch(&client, &folder, None).await? {}
        std::fs::remove_dir_all(&folder)?;
        shared.audit.orphans.lock().retain(|orphan| orphan.path != folder);
    }
    let folder = &shared.audit.folder.path;
    loop {
        if batch(&client, folder, Some(&shared.audit.state)).await? {
            continue;
        }
        tokio::time::sleep(SHIP_INTERVAL).await;
        // The connection's end shows here, not only at the next event.
        client.simple_query("").await?;
    }
}

/// Ships what is next, and removes a segment that has nothing more; says whether there was anything.
async fn batch(
    client: &tokio_postgres::Client,
    folder: &Path,
    state: Option<&State>,
) -> Result<bool, Failure> {
    let end = state.map(State::durable);
    let segments = spool::segments(folder)?;
    if segments.is_empty() {
        return Ok(false);
    }
    let at = spool::shipped(folder, &segments);
    let (found, next) = spool::read(folder, at, end, BATCH_EVENTS)?;
    if !found.is_empty() {
        let events: Vec<String> = found
            .into_iter()
            .map(|found| match found {
                Found::Event(json) => json,
                Found::Damaged(place, bytes) => damaged(folder, place, bytes).to_json().to_string(),
            })
            .collect();
        client.execute(WRITE, &[&format!("[{}]", events.join(","))]).await?;
    }
    if next != at {
        spool::mark(folder, next)?;
        return Ok(true);
    }
    // A segment has nothing more where the writer had gone on to another when the end was asked for.
    let followers = segments.iter().copied().find(|number| *number > at.segment);
    let Some(follower) = followers.filter(|_| end.is_none_or(|end| end.segment > at.segment)) else {
        return Ok(false);
    };
    spool::mark(folder, Place { segment: follower, offset: 0 })?;
    spool::remove(folder, at.segment, state)?;
    Ok(true)
}

/// A record that the disk did not keep: what it said is lost, that it was there is not.
fn damaged(folder: &Path, place: Place, bytes: u64) -> Event {
    tracing::error!(
        segment = place.segment,
        offset = place.offset,
        bytes,
        "a record of the audit spool is damaged"
    );
    let mut event =
        Event::new(OffsetDateTime::now_utc(), Class::A, Plane::Data, "audit.record_damaged", "system");
    event.result = "failed".into();
    event.detail = serde_json::json!({
        "folder": folder.file_name().and_then(|name| name.to_str()),
        "segment": place.segment, "offset": place.offset, "bytes": bytes,
    });
    event
}
