//! Explain, health, and what is small.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use palisade_catalog::ids::RoleKind;
use palisade_policies::Namespace;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::deep::deep;
use crate::http::Body;
use crate::http::auth::{self, Caller};
use crate::http::endpoints::Scope;
use crate::http::problem::Problem;
use crate::installation::Installation;
use crate::warm::WarmPool;
use crate::{Shared, installation, policies, tenants, warm};

/// Who the token is for.
#[derive(Serialize, ToSchema)]
pub(crate) struct Whoami {
    subject: String,
    roles: Vec<String>,
}

/// Say who the token is for
#[utoipa::path(get, path = "/whoami", tag = "session", responses((status = 200, body = Whoami)))]
pub(crate) async fn whoami(caller: Caller) -> Json<Whoami> {
    Json(Whoami { subject: caller.subject, roles: caller.roles })
}

/// Show the pool of tenants that are built before anybody wants them
#[utoipa::path(get, path = "/warm-pool", tag = "templates", responses((status = 200, body = WarmPool)))]
pub(crate) async fn warm_pool(
    _: Caller,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<WarmPool>, Problem> {
    Ok(Json(warm::show(&shared).await?))
}

/// Show the whole installation, and what of it wants attention
///
/// Versions, proxies and their policy, tenants by state, operations, the warm pool, approvals, the audit trail's lag and
/// the newest leak test.
#[utoipa::path(get, path = "/installation", tag = "installation", responses((status = 200, body = Installation)))]
pub(crate) async fn installation(
    _: Caller,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<Installation>, Problem> {
    Ok(Json(installation::show(&shared).await?))
}

/// A statement to explain.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainQuestion {
    /// Slug or id.
    tenant: String,
    /// `owner`, `app`, `readonly` or an operator's own kind.
    #[serde(rename = "as")]
    kind: String,
    /// At most 1 MiB.
    sql: String,
}

/// Show how a statement is read, judged and rewritten
#[utoipa::path(post, path = "/explain", tag = "policy", request_body = ExplainQuestion, responses((status = 200, body = crate::http::shapes::Explanation)))]
pub(crate) async fn explain(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Body(question): Body<ExplainQuestion>,
) -> Result<Json<Value>, Problem> {
    RoleKind::parse(&question.kind).map_err(|error| Problem::field("as", error.to_string()))?;
    auth::within(&shared, &caller, Scope::Tenant, &question.tenant).await?;
    let client = shared.pool.get().await?;
    let tenant = tenants::find(&client, &question.tenant).await?;
    drop(client);
    let Some(tenant) = tenant else {
        return Err(Problem::not_found(format!(
            "there is no tenant with the id or slug \"{}\"",
            question.tenant
        )));
    };
    let namespace = Namespace {
        kind: question.kind,
        schema: tenant.schema,
        database: tenant.slug,
        shared: shared.config.shared_schemas.clone(),
    };
    let judge = policies::judge(&shared).await?;
    let (limits, sql) = (shared.limits, question.sql);
    let explained = deep(move || palisade_policies::explain(&judge, &sql, &namespace, &limits)).await;
    let explained = explained.ok_or_else(|| Problem::internal("the reader failed".into()))?;
    // An explanation is strings and lists: it always has a JSON form.
    Ok(Json(serde_json::to_value(explained).unwrap_or_default()))
}

pub(crate) async fn live() -> &'static str {
    "ok"
}

pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    let client = shared.pool.get().await;
    let answer = match &client {
        Ok(client) => client.simple_query("SELECT 1").await.is_ok(),
        Err(_) => false,
    };
    if answer {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
    }
}

pub(crate) async fn no_such_endpoint() -> Problem {
    Problem::not_found("there is no such endpoint below /api/v1")
}

pub(crate) async fn no_such_method() -> Problem {
    Problem::method_not_allowed("the endpoint has no such method")
}
