//! `/api/v1/tenants`: list and show.
//!
//! - `create`, `change`, `rollback`, `switch`: what changes a tenant.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::{ETAG, HeaderValue, IF_MATCH};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Asked, decode_cursor, page_size};
use crate::operations::Operation;
use crate::tenants::Tenant;
use crate::{Shared, operations, tenants};

pub(crate) mod change;
pub(crate) mod copy;
pub(crate) mod create;
pub(crate) mod logins;
pub(crate) mod rollback;
pub(crate) mod sessions;
pub(crate) mod switch;

/// What a list of tenants is asked for.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TenantQuery {
    /// Most items, 1 to 200; 50 unless asked otherwise.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only tenants in this observed state. Without it, all but deleted ones.
    state: Option<String>,
    /// Only tenants whose slug or display name contains this text.
    q: Option<String>,
}

/// One page of tenants, by slug.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantPage {
    items: Vec<Tenant>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

/// A tenant after a change.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantAnswer {
    pub(crate) tenant: Tenant,
}

/// Where a tenant stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantStatus {
    tenant_id: String,
    slug: String,
    desired_state: String,
    observed_state: String,
    /// Its newest operation.
    operation: Option<Operation>,
}

/// List tenants
///
/// By slug. Deleted tenants are left out unless asked for.
#[utoipa::path(get, path = "/tenants", tag = "tenants", params(TenantQuery), responses((status = 200, body = TenantPage)))]
pub(crate) async fn list(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Asked(page): Asked<TenantQuery>,
) -> Result<Json<TenantPage>, Problem> {
    let limit = page_size(page.limit)?;
    let after = page.cursor.as_deref().map(decode_cursor).transpose()?;
    let client = shared.pool.get().await?;
    let wanted = tenants::Filter {
        state: page.state.as_deref(),
        search: page.q.as_deref(),
        own: caller.tenants.as_deref(),
        after: after.as_deref(),
    };
    let (items, next) = tenants::page(&client, &wanted, limit).await?;
    Ok(Json(TenantPage { items, next_cursor: next.map(|n| URL_SAFE_NO_PAD.encode(n)) }))
}

/// The tenant of an id or slug, or the problem that there is none.
pub(crate) async fn found(client: &tokio_postgres::Client, id: &str) -> Result<Tenant, Problem> {
    tenants::find(client, id)
        .await?
        .ok_or_else(|| Problem::not_found(format!("there is no tenant with the id or slug \"{id}\"")))
}

/// Show a tenant
#[utoipa::path(get, path = "/tenants/{id}", tag = "tenants", params(("id" = String, Path, description = "The tenant's id or slug")),
    responses((status = 200, body = Tenant, headers(("etag" = String, description = "Its generation, for If-Match")))))]
pub(crate) async fn show(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    let tag = etag(&tenant);
    Ok(([(ETAG, tag)], Json(tenant)).into_response())
}

/// Show where a tenant stands
#[utoipa::path(get, path = "/tenants/{id}/status", tag = "tenants", params(("id" = String, Path, description = "The tenant's id or slug")), responses((status = 200, body = TenantStatus)))]
pub(crate) async fn status(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<TenantStatus>, Problem> {
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    let operation = operations::newest(&client, &tenant.id).await?;
    Ok(Json(TenantStatus {
        tenant_id: tenant.id,
        slug: tenant.slug,
        desired_state: tenant.desired_state,
        observed_state: tenant.observed_state,
        operation,
    }))
}

/// A tenant's ETag: its generation.
pub(crate) fn etag(tenant: &Tenant) -> HeaderValue {
    // Digits and quotes are always a header's value.
    HeaderValue::from_str(&format!("\"{}\"", tenant.generation))
        .unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}

/// Refuses a request whose If-Match names another generation. Without the header nothing is compared.
pub(crate) fn if_match(headers: &HeaderMap, tenant: &Tenant) -> Result<(), Problem> {
    let Some(wanted) = headers.get(IF_MATCH) else { return Ok(()) };
    let own = etag(tenant);
    let wanted = wanted.to_str().map_err(|_| Problem::bad_request("If-Match is not readable"))?;
    if wanted.split(',').map(str::trim).any(|tag| tag == "*" || tag.as_bytes() == own.as_bytes()) {
        return Ok(());
    }
    Err(Problem::stale("the tenant has changed since it was read; read it again and repeat the change"))
}
