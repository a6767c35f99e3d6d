//! Suspend, resume, rotate, roll back: each with its audit row in one transaction.

use palisade_catalog::secrets::random_client_secret;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::provision::{self, Credential, event};
use crate::store::verifier;
use crate::tenants::Tenant;
use crate::{Shared, audit, operations};

/// Moves a tenant between `active` and `suspended`. Proxies follow within a second.
pub(crate) async fn switch(
    shared: &Shared,
    tenant: &Tenant,
    to: &'static str,
    actor: &str,
    reason: &str,
) -> Result<(), Problem> {
    let (from, action) = match to {
        "suspended" => ("active", "tenant.suspend"),
        _ => ("suspended", "tenant.resume"),
    };
    change(shared, tenant, from, to, action, actor, reason).await.map(|_| ())
}

/// Rolls an active or suspended tenant back: nobody is let in any more, its data stays until it is purged.
pub(crate) async fn soft_delete(
    shared: &Shared,
    tenant: &Tenant,
    actor: &str,
    reason: &str,
) -> Result<Uuid, Problem> {
    let from = tenant.observed_state.as_str();
    if !matches!(from, "active" | "suspended") {
        return Err(Problem::conflict(format!("the tenant is {from}; it is being made or removed already")));
    }
    change(shared, tenant, from, "deleted", "tenant.rollback", actor, reason).await
}

async fn change(
    shared: &Shared,
    tenant: &Tenant,
    from: &str,
    to: &str,
    action: &str,
    actor: &str,
    reason: &str,
) -> Result<Uuid, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let moved = tx
        .execute(
            "UPDATE palisade_control.tenants SET desired_state = $3, observed_state = $3,
               deleted_at = CASE WHEN $3 = 'deleted' THEN now() END
             WHERE id = $1 AND observed_state = $2",
            &[&tenant.id, &from, &to],
        )
        .await?;
    if moved == 0 {
        return Err(Problem::conflict(format!(
            "the tenant is {}, and only a tenant that is {from} can become {to}",
            tenant.observed_state
        )));
    }
    let operation = Uuid::now_v7();
    let kind = action.trim_start_matches("tenant.");
    operations::begin(&tx, operation, &tenant.id, kind, actor).await?;
    operations::step(&tx, operation, 1, kind, "done", &format!("{from} to {to}")).await?;
    operations::finish(&tx, operation, None).await?;
    let mut event = event(action, actor, &tenant.typed_id()?, operation);
    event.tenant = Some(tenant.slug.clone());
    event.detail = serde_json::json!({ "reason": reason });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(operation)
}

/// Gives a login a new secret. The old one is refused from now on.
pub(crate) async fn rotate(
    shared: &Shared,
    tenant: &Tenant,
    login: &str,
    actor: &str,
) -> Result<Credential, Problem> {
    let secret = random_client_secret();
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let row = tx
        .query_opt(
            "UPDATE palisade_control.logins SET verifier = $3 WHERE tenant_id = $1 AND name = $2 RETURNING kind",
            &[&tenant.id, &login, &verifier(&secret)],
        )
        .await?;
    let Some(row) = row else {
        return Err(Problem::not_found(format!("the tenant has no login \"{login}\"")));
    };
    let mut event = event("login.rotate", actor, &tenant.typed_id()?, Uuid::now_v7());
    event.tenant = Some(tenant.slug.clone());
    event.detail = serde_json::json!({ "login": login });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    let url = provision::url(shared, login, &secret, &tenant.slug);
    Ok(Credential { login: login.to_owned(), kind: row.get(0), secret, url })
}
