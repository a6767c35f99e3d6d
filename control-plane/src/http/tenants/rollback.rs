//! `POST /api/v1/tenants/{id}/rollback`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::found;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Body, confirm, short};
use crate::operations::Operation;
use crate::tenants::Tenant;
use crate::{Shared, lifecycle, operations, tenants};

/// A wish to roll back.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rollback {
    /// `true` only says what would happen.
    dry_run: bool,
    /// What the dry run gave.
    confirm: Option<String>,
    /// At most 200 bytes; stands in the audit trail.
    reason: String,
}

/// The answer: what would happen after a dry run, else what has happened.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum RollbackAnswer {
    /// After a dry run.
    Plan(RollbackPlan),
    /// After the deed.
    Done(Box<RolledBack>),
}

/// What would happen.
#[derive(Serialize, ToSchema)]
pub(crate) struct RollbackPlan {
    /// A sentence each.
    effects: Vec<String>,
    /// To be sent with the call that does it; good for 5 minutes.
    confirm: String,
}

/// What has happened.
#[derive(Serialize, ToSchema)]
pub(crate) struct RolledBack {
    tenant: Option<Tenant>,
    operation: Option<Operation>,
}

/// Roll a tenant back
///
/// With `dry_run` it says what would happen and gives the confirmation that the call without it needs.
#[utoipa::path(post, path = "/tenants/{id}/rollback", tag = "tenants", params(("id" = String, Path, description = "The tenant's id or slug")), request_body = Rollback, responses((status = 200, body = RollbackAnswer)))]
pub(crate) async fn rollback(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Body(body): Body<Rollback>,
) -> Result<Json<RollbackAnswer>, Problem> {
    let client = shared.pool.get().await?;
    let tenant = found(&client, &id).await?;
    drop(client);
    if body.dry_run {
        let confirm = confirm::issue(&shared, "rollback", &tenant.id, &tenant.observed_state);
        return Ok(Json(RollbackAnswer::Plan(RollbackPlan { effects: effects(&tenant), confirm })));
    }
    confirm::check(&shared, "rollback", &tenant.id, &tenant.observed_state, body.confirm.as_deref())?;
    let reason = short(body.reason, "reason")?;
    let operation = lifecycle::soft_delete(&shared, &tenant, &caller.subject, &reason).await?;
    let client = shared.pool.get().await?;
    let operation = operations::find(&client, Some(operation), "").await?;
    let tenant = tenants::find(&client, &tenant.id).await?;
    Ok(Json(RollbackAnswer::Done(Box::new(RolledBack { tenant, operation }))))
}

/// What a rollback would do, in words.
fn effects(tenant: &Tenant) -> Vec<String> {
    vec![
        format!("All connections of \"{}\" are ended and new ones are refused.", tenant.slug),
        format!("The slug \"{}\" becomes free for another tenant.", tenant.slug),
        format!(
            "Its schema {} and all its data stay until they are purged; nothing is dropped now.",
            tenant.schema
        ),
    ]
}
