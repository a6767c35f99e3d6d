//! `/api/v1/tenants/{id}/sessions`: who is connected now.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::found;
use crate::consoles::{self, EndError, Live, LiveSession};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::{Shared, audit, provision};

/// Show who is connected as a tenant, and its pools
///
/// Asked of the proxies' consoles (`[control_plane] consoles`); a proxy that does not answer within 2 seconds is shown as
/// such. At most 500 sessions and 500 server connections of each proxy.
#[utoipa::path(get, path = "/tenants/{id}/sessions", tag = "tenants",
    params(("id" = String, Path, description = "The tenant's id or slug")), responses((status = 200, body = Live)))]
pub(crate) async fn sessions(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Live>, Problem> {
    let tenant = found(&**shared.pool.get().await?, &id).await?;
    Ok(Json(consoles::live(&shared, &tenant.slug).await))
}

/// End a session of a tenant
///
/// Its client gets SQLSTATE 57P01; a transaction that is open is rolled back.
#[utoipa::path(delete, path = "/tenants/{id}/sessions/{session}", tag = "tenants",
    params(("id" = String, Path, description = "The tenant's id or slug"), ("session" = String, Path, description = "The session's id")),
    responses((status = 200, body = LiveSession)))]
pub(crate) async fn terminate(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path((id, session)): Path<(String, String)>,
) -> Result<Json<LiveSession>, Problem> {
    let tenant = found(&**shared.pool.get().await?, &id).await?;
    let ended = consoles::end(&shared, &tenant.slug, &session).await.map_err(|error| match error {
        EndError::Gone => Problem::not_found(error.to_string()),
        EndError::Unreachable(_) | EndError::Refused(_) => Problem::unavailable(error.to_string()),
    })?;
    let mut event = provision::system_event("session.terminate", &caller.subject);
    event.tenant = Some(tenant.slug);
    event.tenant_id = Some(tenant.id);
    event.session = Some(ended.id.clone());
    event.object = Some(ended.login.clone());
    event.detail = serde_json::json!({ "proxy": ended.proxy, "client": ended.client });
    audit::record(&shared, &event).await?;
    Ok(Json(ended))
}
