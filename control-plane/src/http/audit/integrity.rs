//! `/api/v1/audit/integrity`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::Shared;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::integrity::{self, Integrity};

/// Check the newest stretch of the log
///
/// The newest events, some thousand, by their hashes and against the signed heads. `palisade audit verify` checks all of
/// them, and with a key and a checkpoint of one's own.
#[utoipa::path(get, path = "/audit/integrity", tag = "audit", responses((status = 200, body = Integrity)))]
pub(crate) async fn integrity(
    _: Caller,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<Integrity>, Problem> {
    Ok(Json(integrity::look(&shared).await?))
}
