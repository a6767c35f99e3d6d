//! Taking a tenant away and giving it back: a deleted tenant's clients are refused, its data stays for the retention.

use palisade_catalog::ids::Slug;
use time::OffsetDateTime;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::provision::event;
use crate::tenants::Tenant;
use crate::{Shared, audit, operations, plans};

/// When a tenant that is deleted now would be purged.
pub(crate) fn purge_time(shared: &Shared) -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::hours(i64::from(shared.config.retention_hours))
}

/// Deletes an active or suspended tenant, or ends the retention of a deleted one at once. `kind` stands in the
/// operation: `delete` or `rollback`.
pub(crate) async fn delete(
    shared: &Shared,
    tenant: &Tenant,
    kind: &str,
    actor: &str,
    reason: &str,
) -> Result<Uuid, Problem> {
    let from = tenant.observed_state.as_str();
    if !matches!(from, "active" | "suspended" | "deleted") {
        return Err(Problem::conflict(format!("the tenant is {from}; it is being made or removed already")));
    }
    let purge_after = if from == "deleted" { OffsetDateTime::now_utc() } else { purge_time(shared) };
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let moved = tx
        .execute(
            "UPDATE palisade_control.tenants SET desired_state = 'deleted', observed_state = 'deleted',
               deleted_at = coalesce(deleted_at, now()), purge_after = $3
             WHERE id = $1 AND observed_state = $2",
            &[&tenant.id, &from, &purge_after],
        )
        .await?;
    if moved == 0 {
        return Err(Problem::conflict("the tenant was changed meanwhile; read it again"));
    }
    let operation = Uuid::now_v7();
    operations::begin(&tx, operation, &tenant.id, kind, actor).await?;
    operations::step(&tx, operation, 1, kind, "done", &format!("{from} to deleted")).await?;
    operations::finish(&tx, operation, None).await?;
    let mut event = event(&format!("tenant.{kind}"), actor, &tenant.typed_id()?, operation);
    event.tenant = Some(tenant.slug.clone());
    event.detail = serde_json::json!({ "reason": reason, "purge_after": purge_after.unix_timestamp() });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(operation)
}

/// Gives a deleted tenant back as it was, under its old slug or a new one.
pub(crate) async fn undelete(
    shared: &Shared,
    tenant: &Tenant,
    slug: Option<&Slug>,
    actor: &str,
    reason: &str,
) -> Result<Uuid, Problem> {
    let slug = slug.map_or(tenant.slug.as_str(), Slug::as_str);
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    plans::room(&tx, &tenant.plan).await?;
    let moved = tx
        .execute(
            "UPDATE palisade_control.tenants SET desired_state = 'active', observed_state = 'active', slug = $2,
               deleted_at = NULL, purge_after = NULL
             WHERE id = $1 AND observed_state = 'deleted'",
            &[&tenant.id, &slug],
        )
        .await
        .map_err(|error| match error.code() {
            Some(&SqlState::UNIQUE_VIOLATION) => {
                Problem::slug_taken(format!("the slug \"{slug}\" is taken; send another as \"slug\"")).about("slug")
            }
            _ => error.into(),
        })?;
    if moved == 0 {
        let state = &tenant.observed_state;
        return Err(Problem::conflict(format!("the tenant is {state}, and only a deleted one comes back")));
    }
    let operation = Uuid::now_v7();
    operations::begin(&tx, operation, &tenant.id, "undelete", actor).await?;
    operations::step(&tx, operation, 1, "undelete", "done", "deleted to active").await?;
    operations::finish(&tx, operation, None).await?;
    let mut event = event("tenant.undelete", actor, &tenant.typed_id()?, operation);
    event.tenant = Some(slug.to_owned());
    event.detail = serde_json::json!({ "reason": reason });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(operation)
}
