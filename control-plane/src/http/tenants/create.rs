//! `POST /api/v1/tenants`.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use palisade_catalog::ids::{Slug, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::auth::Caller;
use crate::http::idempotency::OperationId;
use crate::http::problem::Problem;
use crate::http::{Body, short};
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
    pub(super) tenant: Option<Tenant>,
    pub(super) operation: Option<Operation>,
    /// Empty where the first answer was lost: rotate for new ones.
    pub(super) credentials: Vec<Credential>,
}

/// Make a tenant
///
/// It is verified and open when the answer comes; with `Prefer: respond-async` the answer comes when the slug is
/// reserved, and the operation tells how it goes on. Secrets are shown once.
#[utoipa::path(post, path = "/tenants", tag = "tenants", request_body = CreateTenant,
    params(("prefer" = Option<String>, Header, description = "respond-async: answer before it is made")),
    responses((status = 201, body = CreatedTenant), (status = 200, description = "A request that was done before its answer was lost", body = CreatedTenant),
        (status = 202, description = "Begun", body = CreatedTenant)))]
pub(crate) async fn create(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    earlier: Option<Extension<OperationId>>,
    headers: HeaderMap,
    Body(body): Body<CreateTenant>,
) -> Result<(StatusCode, Json<CreatedTenant>), Problem> {
    let mut operation = earlier.map_or_else(Uuid::now_v7, |Extension(OperationId(id))| id);
    if let Some(earlier) = operations::find(&shared.pool.get().await?, operation).await? {
        match earlier.state.as_str() {
            "succeeded" => return repeat(&shared, earlier).await,
            "running" => {
                return Err(Problem::idempotency_in_flight("the first request is being undone or finished"));
            }
            _ => operation = Uuid::now_v7(),
        }
    }
    let tenant = wished(&shared, body, operation, &caller.subject).await?;
    let later = headers.get_all("prefer").iter().any(|p| p.as_bytes().starts_with(b"respond-async"));
    // A task of its own: a caller that goes away must not leave half a tenant.
    let worker = shared.clone();
    let begun = tokio::spawn(async move {
        let begun = Arc::new(provision::begin(&worker, tenant).await?);
        if later {
            let made = begun.clone();
            // Its operation says how it ended.
            tokio::spawn(async move { provision::complete(&worker, &made).await });
        } else {
            provision::complete(&worker, &begun).await?;
        }
        Ok::<_, Problem>((begun.tenant.id.clone(), begun.credentials.clone()))
    });
    let (id, credentials) =
        begun.await.map_err(|e| Problem::internal(format!("the worker failed: {e}")))??;
    let client = shared.pool.get().await?;
    let tenant = tenants::find(&client, id.as_str()).await?;
    let operation = operations::find(&client, operation).await?;
    let status = if later { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    Ok((status, Json(CreatedTenant { tenant, operation, credentials })))
}

/// The wish, checked.
async fn wished(
    shared: &Shared,
    body: CreateTenant,
    operation: Uuid,
    actor: &str,
) -> Result<NewTenant, Problem> {
    let slug = Slug::parse(&body.slug).map_err(|e| Problem::slug(&e))?;
    let display_name = short(body.display_name.unwrap_or_else(|| slug.to_string()), "display_name")?;
    let plan = short(body.plan.unwrap_or_else(|| "default".into()), "plan")?;
    let name = body.template.unwrap_or_else(|| shared.config.template_name.clone());
    let client = shared.pool.get().await?;
    let template = templates::compiled(&**client, &name, None).await?.ok_or_else(|| {
        let said = format!("there is no template \"{name}\"; GET /api/v1/templates lists them");
        Problem::unknown_template(said).about("template")
    })?;
    let (id, actor) = (TenantId::random(), actor.to_owned());
    Ok(NewTenant { id, slug, display_name, plan, template, operation, kind: "create", actor })
}

/// The answer to a request whose first try was done and not answered. Secrets are shown once; rotate for new ones.
async fn repeat(shared: &Shared, operation: Operation) -> Result<(StatusCode, Json<CreatedTenant>), Problem> {
    let client = shared.pool.get().await?;
    let tenant = tenants::find(&client, &operation.tenant_id).await?;
    let operation = Some(operation);
    Ok((StatusCode::OK, Json(CreatedTenant { tenant, operation, credentials: Vec::new() })))
}
