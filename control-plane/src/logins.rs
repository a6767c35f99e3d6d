//! Logins that an administrator adds to a tenant and removes: of the kinds that every tenant has, or of an operator's own,
//! which have a role in PostgreSQL from their first login on.

use palisade_catalog::ids::{LoginName, RoleKind, TenantId};
use palisade_catalog::names;
use palisade_catalog::secrets::random_client_secret;
use palisade_policies::Judge;
use tokio_postgres::Transaction;
use uuid::Uuid;

use crate::foundation::{self, KINDS};
use crate::http::problem::Problem;
use crate::provision::{self, Credential, event};
use crate::store::verifier;
use crate::tenants::Tenant;
use crate::{Shared, audit, policies, verify};

/// Most logins of one tenant.
pub(crate) const MOST: i64 = 32;

/// Gives a tenant one more login. Proxies let it in within a second.
pub(crate) async fn add(
    shared: &Shared,
    tenant: &Tenant,
    login: &LoginName,
    kind: &RoleKind,
    actor: &str,
) -> Result<Credential, Problem> {
    let (id, secret) = (tenant.typed_id()?, random_client_secret());
    let verified = verifier(&secret);
    let judge = policies::judge(shared).await?;
    known(&judge, kind)?;
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    hold(&tx, tenant).await?;
    free(&tx, tenant, login).await?;
    let own = !KINDS.contains(&kind.as_str());
    if own {
        role(shared, &tx, &id, kind, &judge).await?;
    }
    provision::insert_login(&tx, &id, login, kind, &verified).await?;
    let mut event = event("login.create", actor, &id, Uuid::now_v7());
    event.tenant = Some(tenant.slug.clone());
    event.detail = serde_json::json!({ "login": login.as_str(), "kind": kind.as_str() });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    drop(client);
    if own && let Err(reason) = verify::kind(shared, &id, kind.as_str()).await {
        remove(shared, tenant, login.as_str(), actor).await?;
        return Err(Problem::internal(format!("verification failed: {reason}")));
    }
    let url = provision::url(shared, login.as_str(), &secret, &tenant.slug);
    Ok(Credential { login: login.to_string(), kind: kind.to_string(), secret, url })
}

/// Takes a login away; its sessions end within a second. Its kind's role stays with the tenant: nobody can log in as it.
pub(crate) async fn remove(
    shared: &Shared,
    tenant: &Tenant,
    login: &str,
    actor: &str,
) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    hold(&tx, tenant).await?;
    let gone = tx
        .query_opt(
            "DELETE FROM palisade_control.logins WHERE tenant_id = $1 AND name = $2 AND expires_at IS NULL
             RETURNING kind",
            &[&tenant.id, &login],
        )
        .await?;
    let Some(row) = gone else {
        return Err(Problem::not_found(format!("the tenant has no login \"{login}\"")));
    };
    let mut event = event("login.remove", actor, &tenant.typed_id()?, Uuid::now_v7());
    event.tenant = Some(tenant.slug.clone());
    event.detail = serde_json::json!({ "login": login, "kind": row.get::<_, String>(0) });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}

/// Holds the tenant's row against another change, and tells proxies of the change when it is made.
async fn hold(tx: &Transaction<'_>, tenant: &Tenant) -> Result<(), Problem> {
    let held = tx
        .execute(
            "UPDATE palisade_control.tenants SET updated_at = now()
             WHERE id = $1 AND observed_state IN ('active', 'suspended')",
            &[&tenant.id],
        )
        .await?;
    if held == 1 {
        return Ok(());
    }
    Err(Problem::conflict(format!(
        "the tenant is {}, and only an active or suspended tenant's logins can be changed",
        tenant.observed_state
    )))
}

/// A kind that the policy in force has no rule for may nothing.
fn known(judge: &Judge, kind: &RoleKind) -> Result<(), Problem> {
    if judge.kinds().contains(kind.as_str()) {
        return Ok(());
    }
    let kinds = judge.kinds().iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    Err(Problem::field(
        "kind",
        format!("the policy in force knows the kinds {kinds}; add rules for yours first"),
    ))
}

async fn free(tx: &Transaction<'_>, tenant: &Tenant, login: &LoginName) -> Result<(), Problem> {
    let row = tx
        .query_one(
            "SELECT count(*), coalesce(bool_or(name = $2), false) FROM palisade_control.logins WHERE tenant_id = $1",
            &[&tenant.id, &login.as_str()],
        )
        .await?;
    if row.get(1) {
        return Err(Problem::conflict(format!("the tenant has a login \"{login}\" already")));
    }
    if row.get::<_, i64>(0) >= MOST {
        return Err(Problem::conflict(format!("a tenant has at most {MOST} logins; remove one first")));
    }
    Ok(())
}

/// The kind's role in PostgreSQL, with what the policy in force permits its kind.
async fn role(
    shared: &Shared,
    tx: &Transaction<'_>,
    id: &TenantId,
    kind: &RoleKind,
    judge: &Judge,
) -> Result<(), Problem> {
    let role = names::login_role(id, kind);
    let there = tx.query_opt("SELECT FROM pg_roles WHERE rolname = $1", &[&role]).await?.is_some();
    tx.batch_execute(&foundation::kind_role(shared, id, kind.as_str(), judge, there)).await?;
    let [tables, sequences, routines, types] = foundation::kind_privileges(judge, kind.as_str());
    let (schema, owner) = (names::schema(id), names::owner_role(id));
    let row = tx
        .query_one(foundation::KIND_GRANTS, &[&schema, &owner, &role, &tables, &sequences, &routines, &types])
        .await?;
    tx.batch_execute(row.get(0)).await?;
    Ok(())
}
