//! Suspend, resume, rotate.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{TenantAnswer, found};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Body, short};
use crate::provision::Credential;
use crate::{Shared, lifecycle};

/// Why somebody does it.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Why {
    /// At most 200 bytes; stands in the audit trail.
    reason: String,
}

/// Refuse and end a tenant's connections
#[utoipa::path(post, path = "/tenants/{id}/suspend", tag = "tenants", params(("id" = String, Path, description = "The tenant's id or slug")), request_body = Why, responses((status = 200, body = TenantAnswer)))]
pub(crate) async fn suspend(
    caller: Caller,
    state: State<Arc<Shared>>,
    path: Path<String>,
    Body(why): Body<Why>,
) -> Result<Json<TenantAnswer>, Problem> {
    switch(caller, state, path, why, "suspended").await
}

/// Let a suspended tenant's connections in again
#[utoipa::path(post, path = "/tenants/{id}/resume", tag = "tenants", params(("id" = String, Path, description = "The tenant's id or slug")), request_body = Why, responses((status = 200, body = TenantAnswer)))]
pub(crate) async fn resume(
    caller: Caller,
    state: State<Arc<Shared>>,
    path: Path<String>,
    Body(why): Body<Why>,
) -> Result<Json<TenantAnswer>, Problem> {
    switch(caller, state, path, why, "active").await
}

async fn switch(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    why: Why,
    to: &'static str,
) -> Result<Json<TenantAnswer>, Problem> {
    let reason = short(why.reason, "reason")?;
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    drop(client);
    lifecycle::switch(&shared, &tenant, to, &caller.subject, &reason).await?;
    let client = shared.pool.get().await?;
    Ok(Json(TenantAnswer { tenant: found(&client, &tenant.id).await? }))
}

/// Give a login a new secret
///
/// The old one is refused from now on.
#[utoipa::path(post, path = "/tenants/{id}/logins/{login}/rotate", tag = "tenants",
    params(("id" = String, Path, description = "The tenant's id or slug"), ("login" = String, Path, description = "The login's name")), responses((status = 200, body = Credential)))]
pub(crate) async fn rotate(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path((id, login)): Path<(String, String)>,
) -> Result<Json<Credential>, Problem> {
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    drop(client);
    Ok(Json(lifecycle::rotate(&shared, &tenant, &login, &caller.subject).await?))
}
