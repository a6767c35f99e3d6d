//! Suspend, resume, rotate.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::{TenantAnswer, found};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Body, short};
use crate::provision::Credential;
use crate::{Shared, lifecycle};

/// Why somebody does it.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Why {
    /// At most 200 bytes; stands in the audit trail.
    reason: String,
}

pub(crate) async fn suspend(
    caller: Caller,
    state: State<Arc<Shared>>,
    path: Path<String>,
    Body(why): Body<Why>,
) -> Result<Json<TenantAnswer>, Problem> {
    switch(caller, state, path, why, "suspended").await
}

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
