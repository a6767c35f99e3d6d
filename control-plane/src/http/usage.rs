//! `/api/v1/usage`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Shared;
use crate::http::Asked;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::usage::{self, Usage};

/// Most tenants that one request asks about.
const TENANTS: usize = 100;

/// Whose use.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// Ids of 1 to 100 tenants, with commas between them.
    tenants: String,
}

/// Tenants' use.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageList {
    /// Those that are there, in no order.
    items: Vec<Usage>,
}

/// Show how much room tenants take, and when they were last at work
#[utoipa::path(get, path = "/usage", tag = "tenants", params(UsageQuery), responses((status = 200, body = UsageList)))]
pub(crate) async fn usage(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<UsageQuery>,
) -> Result<Json<UsageList>, Problem> {
    let ids: Vec<String> = asked.tenants.split(',').map(str::to_owned).collect();
    if ids.len() > TENANTS || ids.iter().any(String::is_empty) {
        return Err(Problem::field("tenants", format!("must be the ids of 1 to {TENANTS} tenants")));
    }
    let client = shared.pool.get().await?;
    Ok(Json(UsageList { items: usage::of(&client, &ids, caller.tenants.as_deref()).await? }))
}
