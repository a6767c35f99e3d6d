//! `/api/v1/plans`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use palisade_catalog::audit::{Class, Event, Plane};
use palisade_catalog::ids::Slug;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::{Body, short};
use crate::limits::Limits;
use crate::plans::Plan;
use crate::{Shared, audit, plans};

/// Most plans.
const PLANS: i64 = 200;

/// List plans
#[utoipa::path(get, path = "/plans", tag = "plans", responses((status = 200, body = PlanList)))]
pub(crate) async fn list(_: Caller, State(shared): State<Arc<Shared>>) -> Result<Json<PlanList>, Problem> {
    let client = shared.pool.get().await?;
    Ok(Json(PlanList { items: plans::all(&client).await? }))
}

/// All plans.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanList {
    items: Vec<Plan>,
}

/// A plan after a change.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanAnswer {
    plan: Plan,
}

/// What a plan is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutPlan {
    /// At most 200 bytes.
    #[serde(default)]
    description: String,
    #[serde(default)]
    limits: Limits,
    /// Most tenants on it; null or absent is without end.
    #[schema(minimum = 0)]
    max_tenants: Option<i32>,
}

/// Make or change a plan
///
/// Tenants that are on it have its limits at once.
#[utoipa::path(put, path = "/plans/{name}", tag = "plans", params(("name" = String, Path, description = "The plan's name, as a slug")),
    request_body = PutPlan, responses((status = 200, body = PlanAnswer)))]
pub(crate) async fn put(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Body(body): Body<PutPlan>,
) -> Result<Json<PlanAnswer>, Problem> {
    // A plan's name stands in URLs as a slug does.
    let name = Slug::parse(&name).map_err(|e| Problem::field("name", e.to_string()))?.to_string();
    let description = short(body.description, "description")?;
    Problem::fields(body.limits.errors().into_iter().map(|(f, e)| (format!("limits.{f}"), e)))?;
    if body.max_tenants.is_some_and(|most| most < 0) {
        return Err(Problem::field("max_tenants", "must be 0 or more"));
    }
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    plans::put(&tx, &name, &description, body.limits, body.max_tenants).await?;
    if plans::count(&tx).await? > PLANS {
        return Err(Problem::conflict(format!("there are {PLANS} plans already, and no more may be made")));
    }
    let mut event =
        Event::new(OffsetDateTime::now_utc(), Class::A, Plane::Control, "plan.put", &caller.subject);
    event.detail = json!({ "plan": name, "limits": body.limits, "max_tenants": body.max_tenants });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    let plan = plans::all(&client).await?.into_iter().find(|plan| plan.name == name);
    let plan = plan.ok_or_else(|| Problem::not_found(format!("there is no plan \"{name}\"")))?;
    Ok(Json(PlanAnswer { plan }))
}
