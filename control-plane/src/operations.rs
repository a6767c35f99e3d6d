//! Operations and their steps.

use deadpool_postgres::{GenericClient, Transaction};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_postgres::types::Json;
use tokio_postgres::{Client, Error, Row};
use utoipa::ToSchema;
use uuid::Uuid;

/// A change under way or done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operation {
    pub(crate) id: Uuid,
    pub(crate) tenant_id: String,
    /// The tenant's slug; a creation that was undone has left none.
    pub(crate) slug: Option<String>,
    /// `create`, `suspend`, `resume`, `rollback` …
    pub(crate) kind: String,
    /// `running`, `succeeded`, `failed` or `cancelled`.
    pub(crate) state: String,
    pub(crate) requested_by: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) finished_at: Option<OffsetDateTime>,
    /// Why it failed: `message`.
    #[schema(value_type = Option<OperationError>)]
    pub(crate) error: Option<serde_json::Value>,
    /// Who wants it to end.
    pub(crate) cancel_requested_by: Option<String>,
    pub(crate) steps: Vec<Step>,
}

/// Why an operation failed, as it stands in the table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperationError {
    pub(crate) message: String,
}

/// One step of an operation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
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

/// Writes where a step stands, and holds the operation for as long as a step may take. A step that is told when it is
/// over began when the one before it ended.
pub(crate) async fn step(
    tx: &Transaction<'_>,
    operation: Uuid,
    position: i32,
    name: &str,
    state: &str,
    detail: &str,
) -> Result<(), Error> {
    step_since(tx, operation, position, (name, state, detail), None).await
}

/// The same for a step whose begin is known.
pub(crate) async fn step_since(
    tx: &Transaction<'_>,
    operation: Uuid,
    position: i32,
    (name, state, detail): (&str, &str, &str),
    since: Option<OffsetDateTime>,
) -> Result<(), Error> {
    let sql = tx
        .prepare_cached(
            "WITH held AS (
               UPDATE palisade_control.operations SET lease_until = clock_timestamp() + interval '30 seconds'
               WHERE id = $1 AND state = 'running')
             INSERT INTO palisade_control.operation_steps AS s
               (operation_id, position, name, state, detail, started_at, finished_at)
             VALUES ($1, $2, $3, $4, $5,
               coalesce($6, CASE WHEN $4 <> 'running' THEN coalesce(
                   (SELECT max(b.finished_at) FROM palisade_control.operation_steps b WHERE b.operation_id = $1),
                   (SELECT o.created_at FROM palisade_control.operations o WHERE o.id = $1)) END, clock_timestamp()),
               CASE WHEN $4 = 'running' THEN NULL ELSE clock_timestamp() END)
             ON CONFLICT (operation_id, position) DO UPDATE
               SET state = excluded.state, detail = excluded.detail, finished_at = excluded.finished_at",
        )
        .await?;
    tx.execute(&sql, &[&operation, &position, &name, &state, &detail, &since]).await?;
    Ok(())
}

/// Writes a step that began and ended at the given times.
pub(crate) async fn timed(
    tx: &Transaction<'_>,
    operation: Uuid,
    position: i32,
    (name, state, detail): (&str, &str, &str),
    (since, until): (OffsetDateTime, OffsetDateTime),
) -> Result<(), Error> {
    let sql = tx
        .prepare_cached(
            "INSERT INTO palisade_control.operation_steps
               (operation_id, position, name, state, detail, started_at, finished_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .await?;
    tx.execute(&sql, &[&operation, &position, &name, &state, &detail, &since, &until]).await?;
    Ok(())
}

/// Ends an operation, with the reason where it failed. One that failed because somebody wanted it to end is cancelled.
pub(crate) async fn finish(tx: &Transaction<'_>, id: Uuid, error: Option<&str>) -> Result<(), Error> {
    let state = if error.is_some() { "failed" } else { "succeeded" };
    let error = error.map(|message| OperationError { message: message.to_owned() });
    // One string always has a JSON form.
    let error = error.map(|error| serde_json::to_value(error).unwrap_or_default());
    let sql = tx
        .prepare_cached(
            "WITH ended AS (
               UPDATE palisade_control.operation_steps SET state = 'failed', finished_at = clock_timestamp()
               WHERE operation_id = $1 AND state = 'running')
             UPDATE palisade_control.operations SET error = $3, finished_at = clock_timestamp(),
               state = CASE WHEN $2 = 'failed' AND cancel_requested_by IS NOT NULL THEN 'cancelled' ELSE $2 END
             WHERE id = $1 AND state = 'running'",
        )
        .await?;
    tx.execute(&sql, &[&id, &state, &error]).await?;
    Ok(())
}

/// Takes operations over whose lease has run out, each for the given time; their ids and tenants. One statement: of two
/// control planes one gets each.
pub(crate) async fn take_over(
    client: &Client,
    kinds: &[&str],
    seconds: i32,
) -> Result<Vec<(Uuid, String)>, Error> {
    let rows = client
        .query(
            "UPDATE palisade_control.operations
             SET lease_until = clock_timestamp() + make_interval(secs => $2), fence = fence + 1
             WHERE state = 'running' AND kind = ANY ($1) AND lease_until < clock_timestamp()
             RETURNING id, tenant_id",
            &[&kinds, &f64::from(seconds)],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Who wants a running operation to end.
pub(crate) async fn cancelled_by(client: &impl GenericClient, id: Uuid) -> Result<Option<String>, Error> {
    let row = client
        .query_opt(
            "SELECT cancel_requested_by FROM palisade_control.operations WHERE id = $1 FOR UPDATE",
            &[&id],
        )
        .await?;
    Ok(row.and_then(|row| row.get(0)))
}

/// Asks a running operation to end at its next step. `false`: it is not running.
pub(crate) async fn cancel(tx: &Transaction<'_>, id: Uuid, actor: &str) -> Result<bool, Error> {
    let asked = tx
        .execute(
            "UPDATE palisade_control.operations SET cancel_requested_by = $2 WHERE id = $1 AND state = 'running'",
            &[&id, &actor],
        )
        .await?;
    Ok(asked == 1)
}

/// An operation as one row: its columns, and its steps as JSON.
const ROW: &str =
    "SELECT o.id, o.tenant_id, o.kind, o.state, o.requested_by, o.created_at, o.finished_at, o.error,
    o.cancel_requested_by,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('name', s.name, 'state', s.state, 'detail', s.detail,
         'started_at', to_char(s.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
         'finished_at', to_char(s.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))
       ORDER BY s.position), '[]') FROM palisade_control.operation_steps s WHERE s.operation_id = o.id),
    (SELECT t.slug FROM palisade_control.tenants t WHERE t.id = o.tenant_id)
    FROM palisade_control.operations o";

fn from_row(row: &Row) -> Operation {
    Operation {
        id: row.get(0),
        tenant_id: row.get(1),
        slug: row.get(10),
        kind: row.get(2),
        state: row.get(3),
        requested_by: row.get(4),
        created_at: row.get(5),
        finished_at: row.get(6),
        error: row.get(7),
        cancel_requested_by: row.get(8),
        steps: row.get::<_, Json<Vec<Step>>>(9).0,
    }
}

/// The operation of an id.
pub(crate) async fn find(client: &impl GenericClient, id: Uuid) -> Result<Option<Operation>, Error> {
    let sql = client.prepare_cached(&format!("{ROW} WHERE o.id = $1")).await?;
    Ok(client.query_opt(&sql, &[&id]).await?.as_ref().map(from_row))
}

/// The newest operation of a tenant.
pub(crate) async fn newest(client: &impl GenericClient, tenant: &str) -> Result<Option<Operation>, Error> {
    let sql = format!("{ROW} WHERE o.tenant_id = $1 ORDER BY o.created_at DESC LIMIT 1");
    let sql = client.prepare_cached(&sql).await?;
    Ok(client.query_opt(&sql, &[&tenant]).await?.as_ref().map(from_row))
}

/// Which operations.
#[derive(Debug, Default)]
pub(crate) struct Filter<'f> {
    /// A tenant's id.
    pub(crate) tenants: Option<&'f [String]>,
    /// The tenants that the reader may see, by slug or id.
    pub(crate) own: Option<&'f [String]>,
    pub(crate) state: Option<&'f str>,
    pub(crate) kind: Option<&'f str>,
    /// Behind this one.
    pub(crate) before: Option<Uuid>,
}

/// One page of operations, the newest first, and whether there are more. Ids rise with time.
pub(crate) async fn page(
    client: &impl GenericClient,
    filter: &Filter<'_>,
    limit: i64,
) -> Result<(Vec<Operation>, bool), Error> {
    let sql = format!(
        "{ROW} WHERE ($1::text[] IS NULL OR o.tenant_id = ANY ($1)) AND ($2::text IS NULL OR o.state = $2)
           AND ($3::text IS NULL OR o.kind = $3)
           AND ($4::uuid IS NULL OR (o.created_at, o.id) < (SELECT b.created_at, b.id FROM palisade_control.operations b WHERE b.id = $4))
           AND ($6::text[] IS NULL OR o.tenant_id = ANY ($6) OR o.tenant_id IN
             (SELECT t.id FROM palisade_control.tenants t WHERE t.slug = ANY ($6)))
         ORDER BY o.created_at DESC, o.id DESC LIMIT $5"
    );
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&filter.tenants, &filter.state, &filter.kind, &filter.before, &(limit + 1), &filter.own];
    let rows = client.query(&sql, &params).await?;
    let keep = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok((rows.iter().take(keep).map(from_row).collect(), rows.len() > keep))
}
