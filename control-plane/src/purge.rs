//! Purges tenants whose retention has ended: relations in bounded batches, a transaction each, then the rest of the
//! schema, the roles and the registry row in one. Safe to repeat at any point; audit and operations stay.

use palisade_catalog::ids::TenantId;
use palisade_catalog::names;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::provision::event;
use crate::{Shared, audit, operations, removal};

/// Most tenants that one pass begins to purge.
const TENANTS: i64 = 20;
/// How long a purge that a crash left is held before its next step, in seconds.
const LEASE_SECONDS: i32 = 30;
/// Most relations that one transaction drops: with their indexes, a fraction of PostgreSQL's lock table.
const RELATIONS: i64 = 40;

/// Begins what is due, and continues what a crash left.
pub(crate) async fn once(shared: &Shared) -> Result<(), Problem> {
    let begun = due(shared).await?;
    let left = operations::take_over(&**shared.pool.get().await?, &["purge"], LEASE_SECONDS).await?;
    for (operation, tenant) in begun.into_iter().chain(left) {
        let id = TenantId::parse(&tenant)?;
        if let Err(problem) = purge(shared, &id, operation).await {
            tracing::warn!(%tenant, detail = %problem.detail, "a purge failed; it will be tried again");
        }
    }
    Ok(())
}

async fn due(shared: &Shared) -> Result<Vec<(Uuid, String)>, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let rows = tx
        .query(
            "UPDATE palisade_control.tenants SET observed_state = 'purging' WHERE id IN (
               SELECT id FROM palisade_control.tenants WHERE observed_state = 'deleted' AND purge_after <= now()
               ORDER BY purge_after LIMIT $1 FOR UPDATE SKIP LOCKED)
             RETURNING id",
            &[&TENANTS],
        )
        .await?;
    let mut begun = Vec::new();
    for row in rows {
        let (tenant, operation): (String, Uuid) = (row.get(0), Uuid::now_v7());
        operations::begin(&tx, operation, &tenant, "purge", "system").await?;
        operations::step(&tx, operation, 1, "drop", "running", "relations in batches").await?;
        begun.push((operation, tenant));
    }
    tx.commit().await?;
    Ok(begun)
}

async fn purge(shared: &Shared, id: &TenantId, operation: Uuid) -> Result<(), Problem> {
    let schema = names::schema(id);
    let mut dropped = 0;
    loop {
        let batch = drop_batch(shared, &schema, operation, dropped).await?;
        if batch == 0 {
            break;
        }
        dropped += batch;
    }
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    removal::drop_objects(&tx, id).await?;
    let row = tx
        .query_opt(
            "DELETE FROM palisade_control.tenants WHERE id = $1 AND observed_state = 'purging' RETURNING slug",
            &[&id.as_str()],
        )
        .await?;
    operations::step(&tx, operation, 1, "drop", "done", &format!("{dropped} relations")).await?;
    operations::step(&tx, operation, 2, "remove", "done", "schema, roles and registry row").await?;
    operations::finish(&tx, operation, None).await?;
    let mut event = event("tenant.purge", "system", id, operation);
    event.tenant = row.map(|row| row.get(0));
    event.detail = serde_json::json!({ "relations": dropped });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}

/// Drops some relations; the number that went. Partitions come before what they are partitions of.
async fn drop_batch(shared: &Shared, schema: &str, operation: Uuid, before: usize) -> Result<usize, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let rows = tx
        .query(
            "SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
                                   ELSE 'TABLE' END, format('%I.%I', n.nspname, c.relname)
             FROM pg_namespace n
             JOIN pg_depend d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
                             AND d.classid = 'pg_class'::regclass
             JOIN pg_class c ON c.oid = d.objid
             WHERE n.nspname = $1 AND c.relkind IN ('v', 'm', 'r', 'f', 'p')
             ORDER BY CASE c.relkind WHEN 'v' THEN 0 WHEN 'm' THEN 0 WHEN 'p' THEN 2 ELSE 1 END, c.oid DESC LIMIT $2",
            &[&schema, &RELATIONS],
        )
        .await?;
    for row in &rows {
        let (kind, name): (&str, &str) = (row.get(0), row.get(1));
        tx.batch_execute(&format!("DROP {kind} IF EXISTS {name} CASCADE")).await?;
    }
    let dropped = before + rows.len();
    operations::step(&tx, operation, 1, "drop", "running", &format!("{dropped} relations")).await?;
    tx.commit().await?;
    Ok(rows.len())
}
