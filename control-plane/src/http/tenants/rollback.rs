//! `POST /api/v1/tenants/{id}/rollback`, `DELETE /api/v1/tenants/{id}`, `POST /api/v1/tenants/{id}/undelete`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use palisade_catalog::ids::Slug;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use uuid::Uuid;

use super::found;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Asked, Body, confirm, short};
use crate::moves::Step;
use crate::operations::Operation;
use crate::tenants::Tenant;
use crate::{Shared, deletion, lifecycle, operations, tenants};

/// A wish to roll back.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rollback {
    /// `true` only says what would happen.
    dry_run: bool,
    /// `version`: back to the template version before; `delete`: taken away, data kept for the retention. Absent: the
    /// first where the tenant's version has an undo, else the second.
    mode: Option<String>,
    /// What the dry run gave.
    confirm: Option<String>,
    /// At most 200 bytes; stands in the audit trail.
    reason: String,
}

/// A wish to delete.
#[derive(Deserialize, Default, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Delete {
    /// `true` only says what would happen.
    dry_run: bool,
    /// What the dry run gave.
    confirm: Option<String>,
    /// At most 200 bytes; stands in the audit trail.
    reason: String,
}

/// A wish to have a deleted tenant back.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Undelete {
    /// Another slug, where the old one is taken.
    slug: Option<String>,
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
    /// `version`, `delete` or `purge`.
    mode: &'static str,
    /// A sentence each.
    effects: Vec<String>,
    /// The template version behind it, for `version`.
    to_version: Option<i32>,
    /// When the data would be dropped for good, for `delete`.
    #[serde(with = "time::serde::rfc3339::option")]
    purge_after: Option<OffsetDateTime>,
    /// To be sent with the call that does it; good for 5 minutes.
    confirm: String,
}

/// What has happened.
#[derive(Serialize, ToSchema)]
pub(crate) struct RolledBack {
    #[schema(required = true)]
    tenant: Option<Tenant>,
    #[schema(required = true)]
    operation: Option<Operation>,
}

/// Roll a tenant back
///
/// To the template version before where there is an undo, otherwise by deleting it: its data stays for the retention.
/// With `dry_run` it says what would happen and gives the confirmation that the call without it needs.
#[utoipa::path(post, path = "/tenants/{id}/rollback", tag = "tenants",
    params(("id" = String, Path, description = "The tenant's id or slug")),
    request_body = Rollback, responses((status = 200, body = RollbackAnswer)))]
pub(crate) async fn rollback(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Body(body): Body<Rollback>,
) -> Result<Json<RollbackAnswer>, Problem> {
    let tenant = tenant(&shared, &id).await?;
    let back = lifecycle::way_back(&shared, &tenant).await?;
    let back = match (body.mode.as_deref(), back) {
        (Some("delete"), _) => None,
        (Some("version"), None) => {
            let version = tenant.template_version;
            return Err(Problem::conflict(format!("version {version} of the template has no undo")));
        }
        (None | Some("version"), back) => back,
        (Some(_), _) => return Err(Problem::field("mode", "must be version or delete")),
    };
    let Some((step, file)) = back else {
        let (confirm, reason) = (body.confirm.as_deref(), body.reason);
        return take_away(&shared, &caller, tenant, "rollback", (body.dry_run, confirm, reason)).await;
    };
    let state = format!("{} {} {}", tenant.observed_state, step.from, step.to);
    if body.dry_run {
        let confirm = confirm::issue(&shared, "rollback", &tenant.id, &state);
        return Ok(Json(RollbackAnswer::Plan(back_plan(&tenant, &step, &file, confirm))));
    }
    confirm::check(&shared, "rollback", &tenant.id, &state, body.confirm.as_deref())?;
    let reason = short(body.reason, "reason")?;
    let operation = lifecycle::step_back(&shared, &tenant, &step, &caller.subject, &reason).await?;
    done(&shared, &tenant.id, operation).await
}

fn back_plan(tenant: &Tenant, step: &Step, file: &str, confirm: String) -> RollbackPlan {
    RollbackPlan {
        mode: "version",
        effects: vec![
            format!("\"{}\" goes from template version {} back to {}.", tenant.slug, step.from, step.to),
            format!(
                "{file} runs in the tenant's schema. What version {} added is lost, data included.",
                step.from
            ),
            "Clients stay connected; they wait while the step holds its locks.".into(),
        ],
        to_version: Some(step.to),
        purge_after: None,
        confirm,
    }
}

/// Delete a tenant
///
/// Clients are refused at once, the data stays for the retention. A deleted tenant that is deleted again is purged.
/// With `dry_run` it says what would happen and gives the confirmation that the call without it needs.
#[utoipa::path(delete, path = "/tenants/{id}", tag = "tenants",
    params(("id" = String, Path, description = "The tenant's id or slug; a deleted one's id"), Delete),
    responses((status = 200, body = RollbackAnswer)))]
pub(crate) async fn delete(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Asked(asked): Asked<Delete>,
) -> Result<Json<RollbackAnswer>, Problem> {
    let tenant = tenant(&shared, &id).await?;
    take_away(&shared, &caller, tenant, "delete", (asked.dry_run, asked.confirm.as_deref(), asked.reason))
        .await
}

async fn take_away(
    shared: &Shared,
    caller: &Caller,
    tenant: Tenant,
    kind: &'static str,
    (dry_run, confirm, reason): (bool, Option<&str>, String),
) -> Result<Json<RollbackAnswer>, Problem> {
    let deed = format!("{kind} away");
    if dry_run {
        let confirm = confirm::issue(shared, &deed, &tenant.id, &tenant.observed_state);
        return Ok(Json(RollbackAnswer::Plan(away_plan(shared, &tenant, confirm))));
    }
    confirm::check(shared, &deed, &tenant.id, &tenant.observed_state, confirm)?;
    let reason = short(reason, "reason")?;
    let operation = deletion::delete(shared, &tenant, kind, &caller.subject, &reason).await?;
    done(shared, &tenant.id, operation).await
}

fn away_plan(shared: &Shared, tenant: &Tenant, confirm: String) -> RollbackPlan {
    if tenant.observed_state == "deleted" {
        let effects = vec![
            format!("The retention of \"{}\" ends now.", tenant.slug),
            format!("Its schema {}, all its data and its roles are dropped for good.", tenant.schema),
        ];
        return RollbackPlan { mode: "purge", effects, to_version: None, purge_after: None, confirm };
    }
    let purge_after = deletion::purge_time(shared);
    let effects = vec![
        format!("All connections of \"{}\" are ended and new ones are refused.", tenant.slug),
        format!("The slug \"{}\" becomes free for another tenant.", tenant.slug),
        format!(
            "Its schema {} and all its data stay until {}; until then it can be given back.",
            tenant.schema,
            purge_after.date()
        ),
    ];
    RollbackPlan { mode: "delete", effects, to_version: None, purge_after: Some(purge_after), confirm }
}

/// Give a deleted tenant back
///
/// With its data, logins and secrets, as long as its retention lasts.
#[utoipa::path(post, path = "/tenants/{id}/undelete", tag = "tenants",
    params(("id" = String, Path, description = "The tenant's id, or the slug that it had, where one deleted tenant alone had it and nobody has it now")),
    request_body = Undelete, responses((status = 200, body = RolledBack)))]
pub(crate) async fn undelete(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Body(body): Body<Undelete>,
) -> Result<Json<RolledBack>, Problem> {
    let slug = body.slug.as_deref().map(Slug::parse).transpose();
    let slug = slug.map_err(|e| Problem::slug(&e))?;
    let reason = short(body.reason, "reason")?;
    let tenant = deleted(&shared, &id).await?;
    let operation = deletion::undelete(&shared, &tenant, slug.as_ref(), &caller.subject, &reason).await?;
    Ok(Json(result(&shared, &tenant.id, operation).await?))
}

/// The tenant that is to come back, by its id or by the slug that it had.
async fn deleted(shared: &Shared, id: &str) -> Result<Tenant, Problem> {
    let client = shared.pool.get().await?;
    let meant = tenants::meant(&client, id).await?;
    if meant.len() > 1 {
        let each = meant.iter().map(|(id, _, at)| match at {
            Some(at) => format!("{id} (deleted {})", at.format(&Rfc3339).unwrap_or_default()),
            None => id.clone(),
        });
        let each = each.collect::<Vec<_>>().join(", ");
        return Err(Problem::conflict(format!(
            "{} deleted tenants had the slug \"{id}\": {each}; give the id of one",
            meant.len()
        )));
    }
    found(&client, meant.first().map_or(id, |(id, _, _)| id)).await
}

async fn tenant(shared: &Shared, id: &str) -> Result<Tenant, Problem> {
    found(&**shared.pool.get().await?, id).await
}

async fn done(shared: &Shared, id: &str, operation: Uuid) -> Result<Json<RollbackAnswer>, Problem> {
    Ok(Json(RollbackAnswer::Done(Box::new(result(shared, id, operation).await?))))
}

async fn result(shared: &Shared, id: &str, operation: Uuid) -> Result<RolledBack, Problem> {
    let client = shared.pool.get().await?;
    let operation = operations::find(&client, operation).await?;
    Ok(RolledBack { tenant: tenants::find(&client, id).await?, operation })
}
