//! Pause, resume, abort, retry.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use tokio_postgres::error::SqlState;

use super::found;
use crate::fleet::Migration;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::{Shared, audit, provision};

/// Pause a migration
///
/// Targets that have begun are finished.
#[utoipa::path(post, path = "/migrations/{id}/pause", tag = "migrations", params(("id" = String, Path, description = "The migration's id")),
    responses((status = 200, body = Migration)))]
pub(crate) async fn pause(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Migration>, Problem> {
    change(&shared, &caller, &id, "pause", &["running"], "paused").await
}

/// Resume a paused migration
#[utoipa::path(post, path = "/migrations/{id}/resume", tag = "migrations", params(("id" = String, Path, description = "The migration's id")),
    responses((status = 200, body = Migration)))]
pub(crate) async fn resume(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Migration>, Problem> {
    change(&shared, &caller, &id, "resume", &["paused"], "running").await
}

/// Abort a migration
///
/// Targets that were not begun are skipped. What is done stays done.
#[utoipa::path(post, path = "/migrations/{id}/abort", tag = "migrations", params(("id" = String, Path, description = "The migration's id")),
    responses((status = 200, body = Migration)))]
pub(crate) async fn abort(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Migration>, Problem> {
    change(&shared, &caller, &id, "abort", &["running", "paused"], "aborted").await
}

/// Try the failed targets again
///
/// And go on with the rest.
#[utoipa::path(post, path = "/migrations/{id}/retry", tag = "migrations", params(("id" = String, Path, description = "The migration's id")),
    responses((status = 200, body = Migration)))]
pub(crate) async fn retry(
    caller: Caller,
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<Migration>, Problem> {
    change(&shared, &caller, &id, "retry", &["paused", "failed"], "running").await
}

async fn change(
    shared: &Shared,
    caller: &Caller,
    id: &str,
    verb: &str,
    from: &[&str],
    to: &str,
) -> Result<Json<Migration>, Problem> {
    let migration = found(shared, id).await?;
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let moved = tx
        .execute(
            "UPDATE palisade_control.migrations SET state = $3, lease_until = '-infinity', fence = fence + 1,
               reason = CASE WHEN $3 = 'paused' THEN 'paused by an operator' END,
               finished_at = CASE WHEN $3 = 'aborted' THEN clock_timestamp() END
             WHERE id = $1 AND state = ANY ($2)",
            &[&migration.id, &from, &to],
        )
        .await
        .map_err(|error| match error.code() {
            Some(&SqlState::UNIQUE_VIOLATION) => {
                Problem::conflict("another migration of this template is running or paused")
            }
            _ => error.into(),
        })?;
    if moved == 0 {
        return Err(Problem::conflict(format!(
            "the migration is {}; {verb} needs {}",
            migration.state,
            from.join(" or ")
        )));
    }
    let (old, new) = match verb {
        "retry" => ("failed", "pending"),
        "abort" => ("pending", "skipped"),
        _ => ("", ""),
    };
    tx.execute(
        "UPDATE palisade_control.migration_targets SET state = $3 WHERE migration_id = $1 AND state = $2",
        &[&migration.id, &old, &new],
    )
    .await?;
    let mut event = provision::system_event(&format!("migration.{verb}"), &caller.subject);
    event.detail = serde_json::json!({ "migration": migration.id, "template": migration.template });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(Json(found(shared, id).await?))
}
