//! `/api/v1/drift` and `/api/v1/tenants/{id}/drift`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::drift::DriftedTenant;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::tenants::found;
use crate::http::{Asked, decode_cursor};
use crate::{Shared, drift};

/// Most tenants that one request looks at.
const TENANTS: i64 = 1_000;

/// Which part of the fleet.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DriftQuery {
    /// How many tenants to look at, 1 to 1000; 1000 unless asked otherwise.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Who differs.
#[derive(Serialize, ToSchema)]
pub(crate) struct DriftPage {
    items: Vec<DriftedTenant>,
    /// How many tenants were looked at.
    checked: usize,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

/// How a tenant differs.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantDrift {
    drifted: bool,
    /// A line each: `+` it has more, `-` it lacks. The tenant's own name stands as `~`.
    lines: Vec<String>,
}

/// List tenants that are not what their template makes
///
/// One query for up to 1000 tenants. Owners may change their own schema, so drift is not a fault by itself.
#[utoipa::path(get, path = "/drift", tag = "templates", params(DriftQuery), responses((status = 200, body = DriftPage)))]
pub(crate) async fn fleet(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<DriftQuery>,
) -> Result<Json<DriftPage>, Problem> {
    let limit = asked.limit.unwrap_or(TENANTS);
    if !(1..=TENANTS).contains(&limit) {
        return Err(Problem::field("limit", format!("must be 1 to {TENANTS}")));
    }
    let after = asked.cursor.as_deref().map(decode_cursor).transpose()?;
    let client = shared.pool.get().await?;
    let (items, checked, next) = drift::page(&client, after.as_deref(), limit).await?;
    Ok(Json(DriftPage { items, checked, next_cursor: next.map(|id| URL_SAFE_NO_PAD.encode(id)) }))
}

/// Show how a tenant differs from what its template makes
#[utoipa::path(get, path = "/tenants/{id}/drift", tag = "templates",
    params(("id" = String, Path, description = "The tenant's id or slug")), responses((status = 200, body = TenantDrift)))]
pub(crate) async fn tenant(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<TenantDrift>, Problem> {
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    let lines = drift::lines(&client, &tenant).await?;
    Ok(Json(TenantDrift { drifted: !lines.is_empty(), lines }))
}
