//! What an operator sets on a tenant: its slug, name, plan, pool mode and limits, each change in one transaction with
//! its audit row. Physical names are made from the id, so a new slug is a row update.

use palisade_catalog::ids::Slug;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::limits::Limits;
use crate::provision::event;
use crate::tenants::Tenant;
use crate::{Shared, audit, plans};

/// The wished changes; what is `None` stays.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) slug: Option<Slug>,
    pub(crate) display_name: Option<String>,
    pub(crate) plan: Option<String>,
    pub(crate) pool_mode: Option<String>,
    pub(crate) limits: Option<Limits>,
}

/// Writes the changes to a tenant that is still as it was read.
pub(crate) async fn change(
    shared: &Shared,
    tenant: &Tenant,
    wish: &Change,
    actor: &str,
) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    if let Some(plan) = wish.plan.as_deref().filter(|plan| *plan != tenant.plan) {
        plans::room(&tx, plan).await?;
    }
    let moved = tx
        .execute(
            "UPDATE palisade_control.tenants SET slug = coalesce($3, slug),
               display_name = coalesce($4, display_name), plan = coalesce($5, plan),
               pool_mode = coalesce($6, pool_mode), limits = coalesce($7, limits)
             WHERE id = $1 AND generation = $2 AND observed_state IN ('active', 'suspended')",
            &[
                &tenant.id,
                &tenant.generation,
                &wish.slug.as_ref().map(Slug::as_str),
                &wish.display_name,
                &wish.plan,
                &wish.pool_mode,
                &wish.limits.map(Limits::stored),
            ],
        )
        .await
        .map_err(|error| refused(error, wish))?;
    if moved == 0 {
        return Err(Problem::conflict(format!(
            "the tenant is {} and was changed meanwhile, or is not active or suspended; read it again",
            tenant.observed_state
        )));
    }
    let mut event = event("tenant.change", actor, &tenant.typed_id()?, Uuid::now_v7());
    event.operation = None;
    event.tenant = Some(tenant.slug.clone());
    event.detail = difference(tenant, wish);
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}

fn refused(error: tokio_postgres::Error, wish: &Change) -> Problem {
    match error.code() {
        Some(&SqlState::UNIQUE_VIOLATION) => {
            let slug = wish.slug.as_ref().map_or("", Slug::as_str);
            Problem::slug_taken(format!("the slug \"{slug}\" is taken; choose another")).about("slug")
        }
        Some(&SqlState::FOREIGN_KEY_VIOLATION) => {
            let plan = wish.plan.as_deref().unwrap_or_default();
            plans::unknown(plan)
        }
        _ => error.into(),
    }
}

/// Old and new value of what changes, for the audit trail.
fn difference(tenant: &Tenant, wish: &Change) -> serde_json::Value {
    let mut detail = serde_json::Map::new();
    let mut note = |field: &str, old: &str, new: Option<&str>| {
        if let Some(new) = new.filter(|new| *new != old) {
            detail.insert(field.into(), serde_json::json!({ "from": old, "to": new }));
        }
    };
    note("slug", &tenant.slug, wish.slug.as_ref().map(Slug::as_str));
    note("display_name", &tenant.display_name, wish.display_name.as_deref());
    note("plan", &tenant.plan, wish.plan.as_deref());
    note("pool_mode", &tenant.pool_mode, wish.pool_mode.as_deref());
    if let Some(limits) = wish.limits {
        let limits = limits.stored();
        if limits != tenant.limits {
            detail.insert("limits".into(), serde_json::json!({ "from": tenant.limits, "to": limits }));
        }
    }
    serde_json::Value::Object(detail)
}
