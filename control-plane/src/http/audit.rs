//! `/api/v1/audit`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Query, decode_cursor, page_size};
use crate::{Shared, audit};

pub(crate) async fn list(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Query(filter): Query<audit::Filter>,
) -> Result<Json<Value>, Problem> {
    let limit = page_size(filter.limit)?;
    let since = filter.since.as_deref().map(|t| instant(t, "since")).transpose()?;
    let until = filter.until.as_deref().map(|t| instant(t, "until")).transpose()?;
    let before = filter.cursor.as_deref().map(cursor).transpose()?;
    let client = shared.pool.get().await?;
    let (items, next) = audit::page(&client, &filter, since, until, before, limit).await?;
    let next = next.map(|(at, id)| URL_SAFE_NO_PAD.encode(format!("{} {id}", at.unix_timestamp_nanos())));
    Ok(Json(json!({ "items": items, "next_cursor": next })))
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
