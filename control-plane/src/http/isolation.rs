//! `/api/v1/isolation-runs`: leak tests of the running installation.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Shared;
use crate::http::auth::Caller;
use crate::http::events::last_id;
use crate::http::problem::Problem;
use crate::http::watching::{LIFE, Teller, Watching, Woken, stream, whole};
use crate::http::{Asked, MaybeBody};
use crate::isolation::{self, IsolationRun, Wish};

/// How often a watcher looks.
const LOOK: Duration = Duration::from_secs(1);

/// Leak tests, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct IsolationRunList {
    items: Vec<IsolationRun>,
    /// The public key that reports are signed with, for `palisade report verify --key`.
    key: String,
    /// Longest attack that may be wished, in seconds; 0: none may be started.
    longest_seconds: u32,
}

/// List leak tests, the newest first
#[utoipa::path(get, path = "/isolation-runs", tag = "isolation", responses((status = 200, body = IsolationRunList)))]
pub(crate) async fn list(
    _: Caller,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<IsolationRunList>, Problem> {
    let key = isolation::public_key(&shared)?;
    let items = isolation::list(&**shared.pool.get().await?).await?;
    Ok(Json(IsolationRunList { items, key, longest_seconds: shared.config.isolation_seconds }))
}

/// Start a leak test
///
/// Probe tenants are made, attacked through the proxy, and purged. One test at a time.
#[utoipa::path(post, path = "/isolation-runs", tag = "isolation", request_body = Option<Wish>,
    responses((status = 202, description = "Begun", body = IsolationRun)))]
pub(crate) async fn start(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    MaybeBody(wish): MaybeBody<Wish>,
) -> Result<(StatusCode, Json<IsolationRun>), Problem> {
    let longest = shared.config.isolation_seconds;
    if longest == 0 {
        return Err(Problem::conflict("leak tests are switched off ([control_plane] isolation_seconds = 0)"));
    }
    Problem::fields(wish.faults(longest))?;
    let id = isolation::start(&shared, wish, &caller.person, &caller.subject).await?;
    Ok((StatusCode::ACCEPTED, Json(run(&shared, id).await?)))
}

/// Show a leak test
#[utoipa::path(get, path = "/isolation-runs/{id}", tag = "isolation",
    params(("id" = String, Path, description = "The leak test's id")), responses((status = 200, body = IsolationRun)))]
pub(crate) async fn show(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<IsolationRun>, Problem> {
    Ok(Json(run(&shared, parsed(&id)?).await?))
}

/// Cancel a leak test
///
/// It ends within seconds; its probe tenants are purged, and there is no report.
#[utoipa::path(post, path = "/isolation-runs/{id}/cancel", tag = "isolation",
    params(("id" = String, Path, description = "The leak test's id")), responses((status = 202, description = "It will end", body = IsolationRun)))]
pub(crate) async fn cancel(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<IsolationRun>), Problem> {
    let id = parsed(&id)?;
    run(&shared, id).await?;
    isolation::cancel(&shared, id, &caller.subject).await?;
    Ok((StatusCode::ACCEPTED, Json(run(&shared, id).await?)))
}

/// Which form of a report.
#[derive(Deserialize, Default, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportQuery {
    /// `json`, signed; or `html`. `json` unless asked otherwise.
    format: Option<String>,
}

/// Download a leak test's report
///
/// As signed JSON, which `palisade report verify` checks; or as a page for people.
#[utoipa::path(get, path = "/isolation-runs/{id}/report", tag = "isolation",
    params(("id" = String, Path, description = "The leak test's id"), ReportQuery),
    responses((status = 200, description = "The report", body = String, content_type = "application/json")))]
pub(crate) async fn report(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Asked(asked): Asked<ReportQuery>,
) -> Result<Response, Problem> {
    let html = match asked.format.as_deref() {
        None | Some("json") => false,
        Some("html") => true,
        Some(_) => return Err(Problem::field("format", "must be json or html")),
    };
    let id = parsed(&id)?;
    run(&shared, id).await?;
    let text = isolation::report(&**shared.pool.get().await?, id, html).await?;
    let text = text.ok_or_else(|| Problem::not_found("this leak test has no report"))?;
    let (kind, ending) =
        if html { ("text/html; charset=utf-8", "html") } else { ("application/json", "json") };
    let named = format!("attachment; filename=\"leak-test-{id}.{ending}\"");
    Ok(([(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, named)], text).into_response())
}

/// Watch a leak test
///
/// Events `run`, each the whole test as `GET /isolation-runs/{id}` shows it, whenever it has changed, at most one a second.
/// The first comes at once, unless `Last-Event-ID` names it. The stream ends behind the test's end, and after 10 minutes.
#[utoipa::path(get, path = "/isolation-runs/{id}/events", tag = "isolation",
    params(("id" = String, Path, description = "The leak test's id"),
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was read")),
    responses((status = 200, description = "The events", body = String, content_type = "text/event-stream")))]
pub(crate) async fn watch(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let id = parsed(&id)?;
    run(&shared, id).await?;
    let watching = Watching::begin(&shared, LIFE)?;
    let told = last_id(&headers).map(str::to_owned);
    Ok(stream(Watcher { shared, id, told, watching, ended: false }))
}

/// One watcher.
struct Watcher {
    shared: Arc<Shared>,
    id: Uuid,
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
            let run = run(&self.shared, self.id).await.ok()?;
            self.ended = run.state != "running";
            if let Some(event) = whole(&mut self.told, "run", &run).ok()? {
                return Some(event);
            }
            // What wakes is about tenants' operations: the test is looked at once a second whatever happens to them.
            let next = tokio::time::Instant::now() + LOOK;
            while tokio::time::Instant::now() < next {
                self.watching.mark();
                if self.watching.woken(next.duration_since(tokio::time::Instant::now())).await == Woken::Over
                {
                    return None;
                }
            }
        }
    }
}

fn parsed(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| Problem::invalid("a leak test's id is a UUID"))
}

async fn run(shared: &Shared, id: Uuid) -> Result<IsolationRun, Problem> {
    let found = isolation::find(&**shared.pool.get().await?, id).await?;
    found.ok_or_else(|| Problem::not_found("there is no leak test with this id"))
}
