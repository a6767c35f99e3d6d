//! Operations and their steps.

use deadpool_postgres::Transaction;
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::{Client, Error};
use utoipa::ToSchema;
use uuid::Uuid;

/// A change under way or done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operation {
    pub(crate) id: Uuid,
    pub(crate) tenant_id: String,
    /// `create`, `suspend`, `resume`, `rollback` …
    pub(crate) kind: String,
    /// `running`, `succeeded` or `failed`.
    pub(crate) state: String,
    pub(crate) requested_by: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) finished_at: Option<OffsetDateTime>,
    /// Why it failed: `message`.
    #[schema(value_type = Option<OperationError>)]
    pub(crate) error: Option<serde_json::Value>,
    pub(crate) steps: Vec<Step>,
}

/// Why an operation failed, as it stands in the table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperationError {
    pub(crate) message: String,
}

/// One step of an operation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Step {
    pub(crate) name: String,
    /// `running`, `done`, `failed` or `skipped`.
    pub(crate) state: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) finished_at: Option<OffsetDateTime>,
    pub(crate) detail: Option<String>,
}

/// Writes a new running operation.
pub(crate) async fn begin(
    tx: &Transaction<'_>,
    id: Uuid,
    tenant: &str,
    kind: &str,
    actor: &str,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO palisade_control.operations (id, tenant_id, kind, state, requested_by)
         VALUES ($1, $2, $3, 'running', $4)",
        &[&id, &tenant, &kind, &actor],
    )
    .await?;
    Ok(())
}

/// Writes where a step stands, and holds the operation for as long as a step may take.
pub(crate) async fn step(
    tx: &Transaction<'_>,
    operation: Uuid,
    position: i32,
    name: &str,
    state: &str,
    detail: &str,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO palisade_control.operation_steps (operation_id, position, name, state, detail, finished_at)
         VALUES ($1, $2, $3, $4, $5, CASE WHEN $4 = 'running' THEN NULL ELSE clock_timestamp() END)
         ON CONFLICT (operation_id, position) DO UPDATE
           SET state = excluded.state, detail = excluded.detail, finished_at = excluded.finished_at",
        &[&operation, &position, &name, &state, &detail],
    )
    .await?;
    tx.execute(
        "UPDATE palisade_control.operations SET lease_until = clock_timestamp() + interval '30 seconds'
         WHERE id = $1 AND state = 'running'",
        &[&operation],
    )
    .await?;
    Ok(())
}

/// Ends an operation, with the reason where it failed.
pub(crate) async fn finish(tx: &Transaction<'_>, id: Uuid, error: Option<&str>) -> Result<(), Error> {
    let state = if error.is_some() { "failed" } else { "succeeded" };
    let error = error.map(|message| OperationError { message: message.to_owned() });
    // One string always has a JSON form.
    let error = error.map(|error| serde_json::to_value(error).unwrap_or_default());
    tx.execute(
        "UPDATE palisade_control.operations SET state = $2, error = $3, finished_at = clock_timestamp()
         WHERE id = $1 AND state = 'running'",
        &[&id, &state, &error],
    )
    .await?;
    tx.execute(
        "UPDATE palisade_control.operation_steps SET state = 'failed', finished_at = clock_timestamp()
         WHERE operation_id = $1 AND state = 'running'",
        &[&id],
    )
    .await?;
    Ok(())
}

/// The operation of an id, or the newest of a tenant.
pub(crate) async fn find(
    client: &Client,
    id: Option<Uuid>,
    tenant: &str,
) -> Result<Option<Operation>, Error> {
    let row = client
        .query_opt(
            "SELECT id, tenant_id, kind, state, requested_by, created_at, finished_at, error
             FROM palisade_control.operations WHERE id = $1 OR ($1 IS NULL AND tenant_id = $2)
             ORDER BY created_at DESC LIMIT 1",
            &[&id, &tenant],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let id: Uuid = row.get(0);
    let steps = client
        .query(
            "SELECT name, state, started_at, finished_at, detail FROM palisade_control.operation_steps
             WHERE operation_id = $1 ORDER BY position",
            &[&id],
        )
        .await?;
    Ok(Some(Operation {
        id,
        tenant_id: row.get(1),
        kind: row.get(2),
        state: row.get(3),
        requested_by: row.get(4),
        created_at: row.get(5),
        finished_at: row.get(6),
        error: row.get(7),
        steps: steps
            .iter()
            .map(|s| Step {
                name: s.get(0),
                state: s.get(1),
                started_at: s.get(2),
                finished_at: s.get(3),
                detail: s.get(4),
            })
            .collect(),
    }))
}
