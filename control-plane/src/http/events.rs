//! Server-sent events: the timeline of one operation, and of all.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::events::{Cursor, Told};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::{Shared, operations};

/// Longest life of one stream; its reader comes again with Last-Event-ID. Bounds how long a spent token sees events.
pub(crate) const LIFE: Duration = Duration::from_secs(600);
/// A watcher looks by itself this often, should a notification be lost.
pub(crate) const LOOK: Duration = Duration::from_secs(2);
/// A comment keeps the connection open this often.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Watch an operation
///
/// Events `step` and `operation`, from the operation's first on, or behind `Last-Event-ID`. The stream ends behind the
/// operation's end, and after 10 minutes.
#[utoipa::path(get, path = "/operations/{id}/events", tag = "operations",
    params(("id" = String, Path, description = "The operation's id"),
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was read")),
    responses((status = 200, description = "The events", body = String, content_type = "text/event-stream")))]
pub(crate) async fn operation_events(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let id: Uuid = id.parse().map_err(|_| Problem::invalid("an operation's id is a UUID"))?;
    let client = shared.pool.get().await?;
    if operations::find(&client, id).await?.is_none() {
        return Err(Problem::not_found("there is no operation with this id"));
    }
    drop(client);
    watch(shared, Cursor::operation(id, last_id(&headers))?)
}

/// Watch all operations
///
/// Events `step` and `operation` of all tenants, from now on, or behind `Last-Event-ID`. An event may come twice after a
/// reconnection; it has the same number behind the hyphen of its id then.
#[utoipa::path(get, path = "/events", tag = "operations",
    params(("last-event-id" = Option<String>, Header, description = "The id of the last event that was read")),
    responses((status = 200, description = "The events", body = String, content_type = "text/event-stream")))]
pub(crate) async fn all_events(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let client = shared.pool.get().await?;
    let cursor = Cursor::all(&client, last_id(&headers)).await?;
    drop(client);
    watch(shared, cursor)
}

pub(crate) fn last_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty())
}

/// One watcher. It holds its place among them until it is dropped.
struct Watcher {
    shared: Arc<Shared>,
    cursor: Cursor,
    ready: VecDeque<Told>,
    happened: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    until: Instant,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

fn watch(
    shared: Arc<Shared>,
    cursor: Cursor,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = shared.watchers.clone().try_acquire_owned();
    let place = place.map_err(|_| Problem::unavailable("too many watch already; try again later"))?;
    let watcher = Watcher {
        happened: shared.happened.subscribe(),
        stopping: shared.stopping.subscribe(),
        shared,
        cursor,
        ready: VecDeque::new(),
        until: Instant::now() + LIFE,
        ended: false,
        _place: place,
    };
    let stream = futures::stream::unfold(watcher, |mut watcher| async move {
        let told = watcher.next().await?;
        let event = Event::default().id(&told.id).event(&told.kind).data(told.data.to_string());
        Some((Ok(event), watcher))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

impl Watcher {
    /// The next event. `None`: the stream ends.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                let over = told.kind == "operation" && told.data["state"] != "running";
                self.ended |= over && matches!(self.cursor, Cursor::Operation(..));
                return Some(told);
            }
            if self.ended || *self.stopping.borrow() {
                return None;
            }
            // Marked before the reading: what comes during it wakes again.
            self.happened.mark_unchanged();
            let client = self.shared.pool.get().await.ok()?;
            self.ready = self.cursor.read(&client).await.ok()?.into();
            drop(client);
            if !self.ready.is_empty() {
                continue;
            }
            tokio::select! {
                _ = self.happened.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                _ = self.stopping.changed() => return None,
                () = tokio::time::sleep_until(self.until) => return None,
            }
        }
    }
}
