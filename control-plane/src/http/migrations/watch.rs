//! Server-sent events of one migration: its state and its counts, as they change.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures::Stream;

use super::found;
use crate::Shared;
use crate::fleet::Migration;
use crate::http::auth::Caller;
use crate::http::events::last_id;
use crate::http::problem::Problem;
use crate::http::watching::{LIFE, LOOK, Teller, Watching, Woken, stream, whole};

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
    let watching = Watching::begin(&shared, LIFE)?;
    let told = last_id(&headers).map(str::to_owned);
    Ok(stream(Watcher { shared, id, told, watching, ended: false }))
}

/// One watcher.
struct Watcher {
    shared: Arc<Shared>,
    id: String,
    /// The id of the last event.
    told: Option<String>,
    watching: Watching,
    ended: bool,
}

impl Teller for Watcher {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.ended || self.watching.over() {
                return None;
            }
            self.watching.mark();
            let migration = found(&self.shared, &self.id).await.ok()?;
            self.ended = over(&migration);
            if let Some(event) = whole(&mut self.told, "migration", &migration).ok()? {
                return Some(event);
            }
            match self.watching.woken(LOOK).await {
                Woken::Told => tokio::time::sleep(PACE).await,
                Woken::Look => {}
                Woken::Over => return None,
            }
        }
    }
}

/// Whether nothing more will happen to a migration by itself or by its operator.
fn over(migration: &Migration) -> bool {
    matches!(migration.state.as_str(), "succeeded" | "failed" | "aborted")
}
