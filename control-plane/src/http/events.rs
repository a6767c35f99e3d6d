//! Server-sent events: the timeline of one operation, and of all.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures::Stream;
use uuid::Uuid;

use crate::events::{Cursor, Told};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::watching::{LIFE, LOOK, Teller, Watching, Woken, stream};
use crate::{Shared, operations};

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

/// One watcher.
struct Watcher {
    shared: Arc<Shared>,
    cursor: Cursor,
    ready: VecDeque<Told>,
    watching: Watching,
    ended: bool,
}

fn watch(
    shared: Arc<Shared>,
    cursor: Cursor,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let watching = Watching::begin(&shared, LIFE)?;
    Ok(stream(Watcher { shared, cursor, ready: VecDeque::new(), watching, ended: false }))
}

impl Teller for Watcher {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                let over = told.kind == "operation" && told.data["state"] != "running";
                self.ended |= over && matches!(self.cursor, Cursor::Operation(..));
                return Some(Event::default().id(&told.id).event(&told.kind).data(told.data.to_string()));
            }
            if self.ended || self.watching.over() {
                return None;
            }
            self.watching.mark();
            let client = self.shared.pool.get().await.ok()?;
            self.ready = self.cursor.read(&client).await.ok()?.into();
            drop(client);
            if self.ready.is_empty() && self.watching.woken(LOOK).await == Woken::Over {
                return None;
            }
        }
    }
}
