//! `/api/v1/audit`.

mod download;
mod holds;
mod integrity;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use palisade_catalog::audit::Event;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Asked, decode_cursor, page_size};
use crate::{Shared, audit, sealer};

pub(crate) use download::{__path_bundle, __path_export, bundle, export};
pub(crate) use holds::{
    __path_hold, __path_holds, __path_release, __path_sinks, hold, holds, release, sinks,
};

pub(crate) use integrity::{__path_integrity, integrity};

/// Most stretches of a histogram.
const MOST_BUCKETS: i64 = 1_000;

/// One page of events, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditPage {
    #[schema(value_type = Vec<Event>)]
    items: Vec<serde_json::Value>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

/// Read the audit trail
#[utoipa::path(get, path = "/audit", tag = "audit", params(audit::Filter), responses((status = 200, body = AuditPage)))]
pub(crate) async fn list(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Asked(filter): Asked<audit::Filter>,
) -> Result<Json<AuditPage>, Problem> {
    let limit = page_size(filter.limit)?;
    let before = filter.cursor.as_deref().map(cursor).transpose()?;
    let asked = read(&shared, filter).await?;
    let client = shared.pool.get().await?;
    let (items, next) = audit::page(&client, &asked, before, limit).await?;
    let next = next.map(|(at, id)| URL_SAFE_NO_PAD.encode(format!("{} {id}", at.unix_timestamp_nanos())));
    Ok(Json(AuditPage { items, next_cursor: next }))
}

/// Counts of events by time.
#[derive(Serialize, ToSchema)]
pub(crate) struct Histogram {
    /// How long a stretch is.
    bucket_seconds: i64,
    /// Those that have any event, the oldest first.
    items: Vec<audit::Bucket>,
}

/// How long a stretch of the histogram is.
#[derive(Deserialize)]
pub(crate) struct HistogramQuery {
    /// Seconds of a stretch, 1 to 86400; a 60th of the time that is asked for unless given.
    bucket_seconds: Option<i64>,
    #[serde(flatten)]
    filter: Rest,
}

/// What is left over of a query string: the list's filter, with its own refusals.
#[derive(Deserialize)]
#[serde(transparent)]
struct Rest(BTreeMap<String, String>);

impl Rest {
    async fn read(&self, shared: &Shared) -> Result<audit::Asked, Problem> {
        let given = serde_json::to_value(&self.0).unwrap_or_default();
        let filter =
            serde_json::from_value(given).map_err(|error| Problem::bad_request(error.to_string()))?;
        read(shared, filter).await
    }
}

/// Count events by time
///
/// Takes the filters of the list beside `bucket_seconds`. Without `since` the last 24 hours are counted.
#[utoipa::path(get, path = "/audit/histogram", tag = "audit",
    params(audit::Filter, ("bucket_seconds" = Option<i64>, Query, description = "Seconds of a stretch, 1 to 86400; a 60th of the time that is asked for unless given")),
    responses((status = 200, body = Histogram)))]
pub(crate) async fn histogram(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Asked(query): Asked<HistogramQuery>,
) -> Result<Json<Histogram>, Problem> {
    let mut asked = query.filter.read(&shared).await?;
    let now = OffsetDateTime::now_utc();
    let since = *asked.since.get_or_insert(now - time::Duration::days(1));
    let span = (asked.until.unwrap_or(now) - since).whole_seconds().max(1);
    let seconds = query.bucket_seconds.unwrap_or((span / 60).max(1)).max(1);
    if seconds > 86_400 || span / seconds > MOST_BUCKETS {
        return Err(Problem::invalid(format!(
            "bucket_seconds must be 1 to 86400, and make at most {MOST_BUCKETS} stretches of the time that is asked for"
        )));
    }
    let client = shared.pool.get().await?;
    let items = audit::histogram(&client, &asked, seconds).await?;
    Ok(Json(Histogram { bucket_seconds: seconds, items }))
}

/// A signed head of the log.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedHead {
    /// How many events it covers.
    size: i64,
    /// When it was signed (RFC 3339).
    at: String,
    /// A C2SP checkpoint.
    note: String,
}

/// The log's state.
#[derive(Serialize, ToSchema)]
pub(crate) struct Checkpoints {
    /// The public key: keep it where this database's administrators cannot change it.
    key: String,
    /// How many events have a number.
    size: u64,
    /// How many wait for one.
    unnumbered: i64,
    /// The newest checkpoints, at most 100.
    items: Vec<SignedHead>,
}

/// Show the log's public key and its newest checkpoints
#[utoipa::path(get, path = "/audit/checkpoints", tag = "audit", responses((status = 200, body = Checkpoints)))]
pub(crate) async fn checkpoints(
    _: Caller,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<Checkpoints>, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let log = sealer::open(&shared, &tx, false).await?;
    let rows = tx
        .query(
            "SELECT size, at, note FROM palisade_control.audit_checkpoints ORDER BY size DESC LIMIT 100",
            &[],
        )
        .await?;
    let waiting =
        tx.query_one("SELECT count(*) FROM palisade_control.audit_events WHERE number IS NULL", &[]).await?;
    let items = rows.iter().map(|row| SignedHead {
        size: row.get(0),
        at: row.get::<_, OffsetDateTime>(1).format(&Rfc3339).unwrap_or_default(),
        note: row.get(2),
    });
    Ok(Json(Checkpoints {
        key: log.key.public().text().to_owned(),
        size: log.tree.size(),
        unnumbered: waiting.get(0),
        items: items.collect(),
    }))
}

async fn read(shared: &Shared, filter: audit::Filter) -> Result<audit::Asked, Problem> {
    let since = filter.since.as_deref().map(|t| instant(t, "since")).transpose()?;
    let until = filter.until.as_deref().map(|t| instant(t, "until")).transpose()?;
    let tenants = match &filter.tenant {
        Some(named) => audit::tenants(&**shared.pool.get().await?, named).await?,
        None => Vec::new(),
    };
    Ok(audit::Asked::new(filter, since, until, tenants))
}

fn instant(text: &str, what: &str) -> Result<OffsetDateTime, Problem> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Problem::invalid(format!("{what} must be a time such as 2026-01-31T12:00:00Z")))
}

fn cursor(text: &str) -> Result<(OffsetDateTime, Uuid), Problem> {
    let bad = || Problem::bad_request("the cursor is not one that a page gave");
    let text = decode_cursor(text)?;
    let (at, id) = text.split_once(' ').ok_or_else(bad)?;
    let at = at
        .parse()
        .ok()
        .and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok())
        .ok_or_else(bad)?;
    Ok((at, id.parse().map_err(|_| bad())?))
}
