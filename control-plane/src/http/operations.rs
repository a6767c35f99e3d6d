//! `/api/v1/operations`: list, show, wait, cancel.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use palisade_catalog::ids::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::watching::Watching;
use crate::http::{Asked, decode_cursor, page_size};
use crate::operations::{Filter, Operation};
use crate::provision::event;
use crate::{Shared, audit, operations, tenants};

/// Longest wait for an operation's end, in seconds. Shorter than a request may take.
const WAIT_SECONDS: u64 = 50;
/// A waiter looks by itself this often, should a notification be lost.
const LOOK: Duration = Duration::from_secs(1);
/// The kinds of operations that end at their next step when somebody wants it.
const CANCELLABLE: [&str; 3] = ["create", "clone", "import"];

/// Which operations.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OperationQuery {
    /// Most items, 1 to 200; 50 unless asked otherwise.
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only of this tenant (slug or id).
    tenant: Option<String>,
    /// Only in this state.
    state: Option<String>,
    /// Only of this kind.
    kind: Option<String>,
}

/// One page of operations, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperationPage {
    items: Vec<Operation>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

/// How long to wait.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitQuery {
    /// Longest wait in seconds, 0 to 50; 30 unless asked otherwise.
    #[param(maximum = 50)]
    seconds: Option<u64>,
}

/// List operations, the newest first
#[utoipa::path(get, path = "/operations", tag = "operations", params(OperationQuery), responses((status = 200, body = OperationPage)))]
pub(crate) async fn list(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<OperationQuery>,
) -> Result<Json<OperationPage>, Problem> {
    let limit = page_size(asked.limit)?;
    let before = asked.cursor.as_deref().map(decode_cursor).transpose()?;
    let before = before
        .map(|id| id.parse().map_err(|_| Problem::bad_request("the cursor is not one that a page gave")));
    let client = shared.pool.get().await?;
    let tenant = match asked.tenant.as_deref() {
        // A tenant that is gone has operations still: they carry its id.
        Some(name) => Some(tenants::find(&client, name).await?.map_or_else(|| name.to_owned(), |t| t.id)),
        None => None,
    };
    let tenant = tenant.as_ref().map(std::slice::from_ref);
    let filter = Filter {
        tenants: tenant,
        own: caller.tenants.as_deref(),
        state: asked.state.as_deref(),
        kind: asked.kind.as_deref(),
        before: before.transpose()?,
    };
    let (items, more) = operations::page(&client, &filter, limit).await?;
    let next_cursor = items.last().filter(|_| more).map(|o| URL_SAFE_NO_PAD.encode(o.id.to_string()));
    Ok(Json(OperationPage { items, next_cursor }))
}

/// Show an operation
#[utoipa::path(get, path = "/operations/{id}", tag = "operations", params(("id" = String, Path, description = "The operation's id")),
    responses((status = 200, body = Operation)))]
pub(crate) async fn operation(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Operation>, Problem> {
    found(&shared, typed(&id)?).await.map(Json)
}

/// Wait until an operation ends
///
/// The answer is the operation as it is then, or as it is when the time is over.
#[utoipa::path(get, path = "/operations/{id}/wait", tag = "operations",
    params(("id" = String, Path, description = "The operation's id"), WaitQuery), responses((status = 200, body = Operation)))]
pub(crate) async fn wait(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Asked(asked): Asked<WaitQuery>,
) -> Result<Json<Operation>, Problem> {
    let id = typed(&id)?;
    let seconds = asked.seconds.unwrap_or(30);
    if seconds > WAIT_SECONDS {
        return Err(Problem::field("seconds", format!("must be 0 to {WAIT_SECONDS}")));
    }
    let mut watching = Watching::begin(&shared, Duration::from_secs(seconds))?;
    loop {
        watching.mark();
        let operation = found(&shared, id).await?;
        if operation.state != "running" || watching.over() {
            return Ok(Json(operation));
        }
        watching.woken(LOOK).await;
    }
}

/// Cancel an operation
///
/// It ends at its next step, and what it made is removed. One that has ended, or cannot be undone, is not cancelled.
#[utoipa::path(post, path = "/operations/{id}/cancel", tag = "operations", params(("id" = String, Path, description = "The operation's id")),
    responses((status = 202, description = "It will end", body = Operation)))]
pub(crate) async fn cancel(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<(axum::http::StatusCode, Json<Operation>), Problem> {
    let id = typed(&id)?;
    let operation = found(&shared, id).await?;
    if !CANCELLABLE.contains(&operation.kind.as_str()) {
        let said = format!("an operation of the kind {} is not cancelled", operation.kind);
        return Err(Problem::not_cancellable(said));
    }
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    if !operations::cancel(&tx, id, &caller.subject).await? {
        return Err(Problem::not_cancellable("the operation has ended"));
    }
    let tenant = TenantId::parse(&operation.tenant_id)?;
    audit::insert(&tx, &event("operation.cancel", &caller.subject, &tenant, id)).await?;
    tx.commit().await?;
    Ok((axum::http::StatusCode::ACCEPTED, Json(found(&shared, id).await?)))
}

fn typed(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| Problem::invalid("an operation's id is a UUID"))
}

async fn found(shared: &Shared, id: Uuid) -> Result<Operation, Problem> {
    let operation = operations::find(&shared.pool.get().await?, id).await?;
    operation.ok_or_else(|| Problem::not_found("there is no operation with this id"))
}
