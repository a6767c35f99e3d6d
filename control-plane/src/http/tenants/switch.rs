//! Suspend, resume, rotate.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{TenantAnswer, found};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Body, MaybeBody, short};
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

/// Longest grace time, in seconds: a week.
const GRACE_SECONDS: u32 = 604_800;

/// How a login is rotated.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rotation {
    /// How long the old secret stays good beside the new one, 0 to 604800.
    #[schema(maximum = 604_800)]
    grace_seconds: u32,
}

/// Give a login a new secret
///
/// The old one is refused from now on, or stays good for a grace time: then clients are moved without a gap. Sessions
/// that stand on it end with it.
#[utoipa::path(post, path = "/tenants/{id}/logins/{login}/rotate", tag = "tenants", request_body = Option<Rotation>,
    params(("id" = String, Path, description = "The tenant's id or slug"), ("login" = String, Path, description = "The login's name")), responses((status = 200, body = Credential)))]
pub(crate) async fn rotate(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path((id, login)): Path<(String, String)>,
    MaybeBody(rotation): MaybeBody<Rotation>,
) -> Result<Json<Credential>, Problem> {
    let grace = rotation.grace_seconds;
    if grace > GRACE_SECONDS {
        return Err(Problem::field("grace_seconds", format!("must be 0 to {GRACE_SECONDS}")));
    }
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    drop(client);
    Ok(Json(lifecycle::rotate(&shared, &tenant, &login, grace, &caller.subject).await?))
}
