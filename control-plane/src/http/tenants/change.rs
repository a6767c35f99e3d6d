//! `PATCH /api/v1/tenants/{id}`: slug, name, plan, pool mode, limits.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use palisade_catalog::ids::Slug;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{TenantAnswer, etag, found, if_match};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Body, short};
use crate::limits::Limits;
use crate::{Shared, settings};

/// The wished changes; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeTenant {
    /// A new slug. Connection strings name it, so clients need new ones; no data moves.
    slug: Option<String>,
    /// A name for people, at most 200 bytes.
    display_name: Option<String>,
    /// The plan's name.
    plan: Option<String>,
    /// `transaction` or `session`.
    pool_mode: Option<String>,
    /// The tenant's own limits; they replace the old ones as a whole.
    limits: Option<Limits>,
}

/// Change a tenant's slug, name, plan, pool mode or limits
#[utoipa::path(patch, path = "/tenants/{id}", tag = "tenants", request_body = ChangeTenant,
    params(("id" = String, Path, description = "The tenant's id or slug"), ("if-match" = Option<String>, Header, description = "The ETag that was read; 412 where the tenant has changed since")),
    responses((status = 200, body = TenantAnswer, headers(("etag" = String, description = "Its new generation")))))]
pub(crate) async fn change(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(body): Body<ChangeTenant>,
) -> Result<Response, Problem> {
    let wish = checked(body)?;
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    drop(client);
    if_match(&headers, &tenant)?;
    settings::change(&shared, &tenant, &wish, &caller.subject).await?;
    let client = shared.pool.get().await?;
    let tenant = found(&client, &tenant.id).await?;
    Ok(([(ETAG, etag(&tenant))], Json(TenantAnswer { tenant })).into_response())
}

fn checked(body: ChangeTenant) -> Result<settings::Change, Problem> {
    let mut errors: Vec<(String, String)> = Vec::new();
    let slug = body.slug.as_deref().map(Slug::parse).transpose();
    let slug = slug.unwrap_or_else(|error| {
        errors.push(("slug".into(), error.to_string()));
        None
    });
    if let Some(mode) = body.pool_mode.as_deref()
        && !matches!(mode, "transaction" | "session")
    {
        errors.push(("pool_mode".into(), "must be transaction or session".into()));
    }
    if let Some(limits) = &body.limits {
        errors.extend(limits.errors().into_iter().map(|(f, e)| (format!("limits.{f}"), e)));
    }
    if let ([(field, _)], Some(Err(error))) = (&*errors, body.slug.as_deref().map(Slug::parse))
        && field == "slug"
    {
        return Err(Problem::slug(&error));
    }
    Problem::fields(errors)?;
    let display_name = body.display_name.map(|name| short(name, "display_name")).transpose()?;
    Ok(settings::Change {
        slug,
        display_name,
        plan: body.plan,
        pool_mode: body.pool_mode,
        limits: body.limits,
    })
}
