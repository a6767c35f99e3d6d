//! `POST /api/v1/tenants`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use palisade_catalog::ids::{Slug, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::found;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Body, idempotency, short};
use crate::operations::Operation;
use crate::provision::{Credential, NewTenant};
use crate::tenants::Tenant;
use crate::{Shared, operations, provision, templates, tenants};

/// A wish for a tenant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTenant {
    /// Its name in connection strings.
    slug: String,
    /// A name for people; the slug where absent.
    display_name: Option<String>,
    /// The template to build it from.
    template: Option<String>,
    /// The plan to put it on; `default` where absent.
    plan: Option<String>,
}

/// A new tenant, with its secrets: they are shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedTenant {
    tenant: Option<Tenant>,
    operation: Option<Operation>,
    /// Empty in the answer to a repeated request.
    credentials: Vec<Credential>,
}

/// Make a tenant
///
/// It is verified and open when the answer comes. Secrets are shown once.
#[utoipa::path(post, path = "/tenants", tag = "tenants", request_body = CreateTenant,
    params(("idempotency-key" = Option<String>, Header, description = "At most 200 bytes; a repeated request with the same key and body makes nothing new")),
    responses((status = 201, body = CreatedTenant), (status = 200, description = "A repeated request", body = CreatedTenant),
        (status = 202, description = "A repeated request whose first is under way", body = CreatedTenant)))]
pub(crate) async fn create(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Body(body): Body<CreateTenant>,
) -> Result<(StatusCode, Json<CreatedTenant>), Problem> {
    let slug = Slug::parse(&body.slug).map_err(|e| Problem::field("slug", e.to_string()))?;
    let display_name = short(body.display_name.unwrap_or_else(|| slug.to_string()), "display_name")?;
    let plan = short(body.plan.unwrap_or_else(|| "default".into()), "plan")?;
    let name = body.template.unwrap_or_else(|| shared.config.template_name.clone());
    let client = shared.pool.get().await?;
    let template = templates::compiled(&**client, &name, None).await?.ok_or_else(|| {
        let said = format!("there is no template \"{name}\"; GET /api/v1/templates lists them");
        Problem::field("template", said)
    })?;
    drop(client);
    let operation = Uuid::now_v7();
    let key = headers.get("idempotency-key").and_then(|k| k.to_str().ok());
    if let Some(key) = key {
        let wish = format!("{slug}\n{display_name}\n{plan}\n{name}");
        if let Some(earlier) = idempotency::remember(&shared, &caller.subject, key, &wish, operation).await? {
            return repeat(&shared, earlier).await;
        }
    }
    let actor = caller.subject.clone();
    let mut tenant =
        NewTenant { id: TenantId::random(), slug, display_name, plan, template, operation, actor };
    // A task of its own: a caller that goes away must not leave half a tenant.
    let worker = shared.clone();
    let made = tokio::spawn(async move { provision::create(&worker, &mut tenant).await }).await;
    let made = made.map_err(|e| Problem::internal(format!("the worker failed: {e}")))?;
    if made.is_err()
        && let Some(key) = key
    {
        idempotency::forget(&shared, &caller.subject, key).await?;
    }
    let (id, credentials) = made?;
    let client = shared.pool.get().await?;
    let tenant = Some(found(&client, id.as_str()).await?);
    let operation = operations::find(&client, Some(operation), "").await?;
    Ok((StatusCode::CREATED, Json(CreatedTenant { tenant, operation, credentials })))
}

/// The answer to a repeated request: the same tenant and operation. Secrets are shown once; rotate for new ones.
async fn repeat(shared: &Shared, operation: Uuid) -> Result<(StatusCode, Json<CreatedTenant>), Problem> {
    let client = shared.pool.get().await?;
    let Some(operation) = operations::find(&client, Some(operation), "").await? else {
        return Err(Problem::conflict(
            "the first request with this Idempotency-Key has only begun; try again",
        ));
    };
    let tenant = tenants::find(&client, &operation.tenant_id).await?;
    let status = if operation.state == "running" { StatusCode::ACCEPTED } else { StatusCode::OK };
    let operation = Some(operation);
    Ok((status, Json(CreatedTenant { tenant, operation, credentials: Vec::new() })))
}
