//! `/api/v1/audit`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use palisade_catalog::audit::Event;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Asked, decode_cursor, page_size};
use crate::{Shared, audit};

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
    let since = filter.since.as_deref().map(|t| instant(t, "since")).transpose()?;
    let until = filter.until.as_deref().map(|t| instant(t, "until")).transpose()?;
    let before = filter.cursor.as_deref().map(cursor).transpose()?;
    let client = shared.pool.get().await?;
    let (items, next) = audit::page(&client, &filter, since, until, before, limit).await?;
    let next = next.map(|(at, id)| URL_SAFE_NO_PAD.encode(format!("{} {id}", at.unix_timestamp_nanos())));
    Ok(Json(AuditPage { items, next_cursor: next }))
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
