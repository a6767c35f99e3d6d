//! Removal of a tenant that never was active: every trace, in one transaction. Safe to repeat.

use deadpool_postgres::Transaction;
use palisade_catalog::ids::TenantId;
use palisade_catalog::names;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::provision::event;
use crate::{Shared, audit, operations};

/// Removes a tenant that is `pending` or `verifying`, and ends its operation with the reason.
pub(crate) async fn remove(
    shared: &Shared,
    id: &TenantId,
    operation: Uuid,
    actor: &str,
    reason: &str,
) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    // Whoever removes holds the row: a second remover waits and finds nothing.
    let row = tx
        .query_opt(
            "SELECT slug, observed_state FROM palisade_control.tenants WHERE id = $1 FOR UPDATE",
            &[&id.as_str()],
        )
        .await?;
    let unfinished = |state: &str| matches!(state, "pending" | "verifying");
    if let Some(row) = &row
        && !unfinished(row.get(1))
    {
        return Err(Problem::conflict("the tenant is not being made any more"));
    }
    drop_objects(&tx, id).await?;
    tx.execute("DELETE FROM palisade_control.tenants WHERE id = $1", &[&id.as_str()]).await?;
    operations::finish(&tx, operation, Some(reason)).await?;
    let mut event = event("tenant.create", actor, id, operation);
    event.tenant = row.map(|row| row.get(0));
    event.result = "failed".into();
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}

/// Drops a tenant's schema and roles where they are there.
pub(crate) async fn drop_objects(tx: &Transaction<'_>, id: &TenantId) -> Result<(), Problem> {
    let schema = names::schema(id);
    tx.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await?;
    drop_roles(tx, id).await
}

/// Drops a tenant's roles where they are there. What they still own or may do goes with them.
pub(crate) async fn drop_roles(tx: &Transaction<'_>, id: &TenantId) -> Result<(), Problem> {
    let roles = tx
        .query(
            "SELECT rolname FROM pg_roles WHERE rolname = $1 OR rolname LIKE $2",
            &[&names::owner_role(id), &format!("{}\\_l\\_%", names::schema(id).replace('_', "\\_"))],
        )
        .await?;
    for row in roles {
        let role: String = row.get(0);
        tx.batch_execute(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await?;
    }
    Ok(())
}
