//! Server-sent events of one migration: its state and its counts, as they change.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::found;
use crate::Shared;
use crate::fleet::Migration;
use crate::http::auth::Caller;
use crate::http::events::{KEEP_ALIVE, LIFE, LOOK, last_id};
use crate::http::problem::Problem;

/// Shortest time between two events of one stream.
const PACE: Duration = Duration::from_millis(250);

/// Watch a migration
///
/// Events `migration`, each the whole migration as `GET /migrations/{id}` shows it, whenever it has changed, at most four
/// a second. The first comes at once, unless `Last-Event-ID` names it. The stream ends behind the migration's end, and
/// after 10 minutes.
#[utoipa::path(get, path = "/migrations/{id}/events", tag = "migrations",
    params(("id" = String, Path, description = "The migration's id"),
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was read")),
    responses((status = 200, description = "The events", body = String, content_type = "text/event-stream")))]
pub(crate) async fn watch(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    found(&shared, &id).await?;
    let place = shared.watchers.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem::unavailable("too many watch already; try again later"))?;
    let watcher = Watcher {
        happened: shared.happened.subscribe(),
        stopping: shared.stopping.subscribe(),
        shared,
        id,
        told: last_id(&headers).map(str::to_owned),
        until: Instant::now() + LIFE,
        ended: false,
        _place: place,
    };
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        let (id, data) = watcher.next().await?;
        Some((Ok(Event::default().id(id).event("migration").data(data)), watcher))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One watcher. It holds its place among them until it is dropped.
struct Watcher {
    shared: Arc<Shared>,
    id: String,
    /// The id of the last event.
    told: Option<String>,
    happened: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    until: Instant,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// The next event's id and data. `None`: the stream ends.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if self.ended || *self.stopping.borrow() || Instant::now() >= self.until {
                return None;
            }
            // Marked before the reading: what comes during it wakes again.
            self.happened.mark_unchanged();
            let migration = found(&self.shared, &self.id).await.ok()?;
            self.ended = over(&migration);
            let data = serde_json::to_string(&migration).ok()?;
            let id = base16(&Sha256::digest(data.as_bytes())[..8]);
            if self.told.as_ref() != Some(&id) {
                self.told = Some(id.clone());
                return Some((id, data));
            }
            tokio::select! {
                _ = self.happened.changed() => tokio::time::sleep(PACE).await,
                () = tokio::time::sleep(LOOK) => {}
                _ = self.stopping.changed() => return None,
                () = tokio::time::sleep_until(self.until) => return None,
            }
        }
    }
}

/// Whether nothing more will happen to a migration by itself or by its operator.
fn over(migration: &Migration) -> bool {
    matches!(migration.state.as_str(), "succeeded" | "failed" | "aborted")
}

fn base16(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
