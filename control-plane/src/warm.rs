//! The warm pool: tenants that are built and verified before anybody wants them. Making a tenant is then a few rows.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use palisade_catalog::ids::TenantId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::problem::Problem;
use crate::provision::describe;
use crate::templates::{self, Compiled};
use crate::{Shared, foundation, removal, verify};

/// How often the pool is looked at when nobody takes from it.
const INTERVAL: Duration = Duration::from_secs(5);
/// Held while it is decided whether one more is built, so that two control planes do not build for each other.
const FILL_LOCK: i64 = 0x7061_6c69_7761_726d;
/// One that is not ready after this time has no builder any more.
const BUILD_TIME: &str = "2 minutes";

/// What the pool holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WarmPool {
    /// How many it shall hold.
    pub(crate) size: u32,
    /// How many can be taken now.
    pub(crate) ready: i64,
    /// How many are being built.
    pub(crate) building: i64,
    pub(crate) template: String,
}

/// What the pool holds now.
pub(crate) async fn show(shared: &Shared) -> Result<WarmPool, Problem> {
    let client = shared.pool.get().await?;
    let row = client
        .query_one(
            "SELECT count(*) FILTER (WHERE ready), count(*) FILTER (WHERE NOT ready) FROM palisade_control.warm_tenants",
            &[],
        )
        .await?;
    Ok(WarmPool {
        size: shared.config.warm_pool_size,
        ready: row.get(0),
        building: row.get(1),
        template: shared.config.template_name.clone(),
    })
}

/// Takes one that is ready. It belongs to the transaction: when that fails it is in the pool again.
pub(crate) async fn take(tx: &Transaction<'_>, template: &Compiled) -> Result<Option<TenantId>, Problem> {
    let row = tx
        .query_opt(
            "DELETE FROM palisade_control.warm_tenants WHERE id = (
               SELECT id FROM palisade_control.warm_tenants
               WHERE ready AND template = $1 AND template_version = $2
               ORDER BY built_at LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING id",
            &[&template.name, &template.version],
        )
        .await?;
    Ok(row.map(|row| TenantId::parse(row.get(0))).transpose()?)
}

/// Keeps the pool full, for ever.
pub(crate) async fn forever(shared: Arc<Shared>) {
    loop {
        if let Err(problem) = fill(&shared).await {
            tracing::warn!(detail = %problem.detail, "the warm pool cannot be filled; it will be tried again");
        }
        // Taken from, or, should that be missed, after a while anyway.
        let _ = tokio::time::timeout(INTERVAL, shared.taken.notified()).await;
    }
}

/// Removes what is stale, and builds one after the other until the pool is full.
async fn fill(shared: &Shared) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    let Some(template) = templates::compiled(&**client, &shared.config.template_name, None).await? else {
        return Ok(());
    };
    drop(client);
    while let Some(id) = stale(shared, &template).await? {
        discard(shared, &id).await?;
    }
    while let Some(id) = build(shared, &template).await? {
        let verified = match verify::catalog(shared, &id, &template).await {
            Ok(()) => verify::second_wall(shared, &id).await,
            Err(reason) => Err(reason),
        };
        if let Err(reason) = verified {
            discard(shared, &id).await?;
            return Err(Problem::internal(format!("verification failed: {reason}")));
        }
        let client = shared.pool.get().await?;
        client
            .execute("UPDATE palisade_control.warm_tenants SET ready = true WHERE id = $1", &[&id.as_str()])
            .await?;
    }
    Ok(())
}

/// One of another version, of a builder that stopped, or too many. Locked rows are being taken.
async fn stale(shared: &Shared, template: &Compiled) -> Result<Option<TenantId>, Problem> {
    let client = shared.pool.get().await?;
    let row = client
        .query_opt(
            "UPDATE palisade_control.warm_tenants SET ready = false, built_at = '-infinity' WHERE id = (
               SELECT id FROM palisade_control.warm_tenants
               WHERE (template, template_version) <> ($1, $2)
                  OR (NOT ready AND built_at < clock_timestamp() - $3::text::interval)
                  OR (ready AND id IN (SELECT id FROM palisade_control.warm_tenants WHERE ready
                                       ORDER BY built_at OFFSET $4))
               LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING id",
            &[&template.name, &template.version, &BUILD_TIME, &i64::from(shared.config.warm_pool_size)],
        )
        .await?;
    Ok(row.map(|row| TenantId::parse(row.get(0))).transpose()?)
}

async fn discard(shared: &Shared, id: &TenantId) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    removal::drop_objects(&tx, id).await?;
    tx.execute("DELETE FROM palisade_control.warm_tenants WHERE id = $1", &[&id.as_str()]).await?;
    tx.commit().await?;
    Ok(())
}

/// Builds one more where the pool is not full: schema, roles and row in one transaction.
async fn build(shared: &Shared, template: &Compiled) -> Result<Option<TenantId>, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&FILL_LOCK]).await?;
    let held: i64 = tx.query_one("SELECT count(*) FROM palisade_control.warm_tenants", &[]).await?.get(0);
    if held >= i64::from(shared.config.warm_pool_size) {
        return Ok(None);
    }
    let id = TenantId::random();
    tx.batch_execute(&foundation::whole(shared, &id, &template.script))
        .await
        .map_err(|e| Problem::internal(describe(&e)))?;
    tx.execute(
        "INSERT INTO palisade_control.warm_tenants (id, template, template_version) VALUES ($1, $2, $3)",
        &[&id.as_str(), &template.name, &template.version],
    )
    .await?;
    tx.commit().await?;
    Ok(Some(id))
}
