//! A tenant's logins, added and removed.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use palisade_catalog::ids::{LoginName, RoleKind};
use serde::Deserialize;
use utoipa::ToSchema;

use super::found;
use crate::http::Body;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::provision::Credential;
use crate::{Shared, logins};

/// A login that is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLogin {
    /// 1 to 32 characters of a-z, 0-9 and _, a letter first: the user of its connection string.
    login: String,
    /// `owner`, `app`, `readonly`, or a kind that the policy in force has rules for.
    kind: String,
}

/// Add a login
///
/// Its secret is shown once. A kind of the operator's own gets its role in PostgreSQL with its first login; each login
/// that is added gives that role anew what the policy in force permits its kind.
#[utoipa::path(post, path = "/tenants/{id}/logins", tag = "tenants", request_body = NewLogin,
    params(("id" = String, Path, description = "The tenant's id or slug")),
    responses((status = 201, body = Credential)))]
pub(crate) async fn add(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Body(wish): Body<NewLogin>,
) -> Result<(StatusCode, Json<Credential>), Problem> {
    let (login, kind) = (LoginName::parse(&wish.login), RoleKind::parse(&wish.kind));
    let said = [("login", login.as_ref().err()), ("kind", kind.as_ref().err())];
    let errors = said.into_iter().filter_map(|(field, error)| Some((field.to_owned(), error?.to_string())));
    Problem::fields(errors.collect::<Vec<_>>())?;
    let (Ok(login), Ok(kind)) = (login, kind) else { return Err(Problem::field("login", "is not a name")) };
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    drop(client);
    Ok((StatusCode::CREATED, Json(logins::add(&shared, &tenant, &login, &kind, &caller.subject).await?)))
}

/// Remove a login
///
/// Its secret is refused from now on and its sessions end. What it has made stays: it belongs to the tenant.
#[utoipa::path(delete, path = "/tenants/{id}/logins/{login}", tag = "tenants",
    params(("id" = String, Path, description = "The tenant's id or slug"), ("login" = String, Path, description = "The login's name")),
    responses((status = 204)))]
pub(crate) async fn remove(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path((id, login)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    drop(client);
    logins::remove(&shared, &tenant, &login, &caller.subject).await?;
    Ok(StatusCode::NO_CONTENT)
}
