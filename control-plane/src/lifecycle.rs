//! Suspend, resume, rotate, step back: each with its audit row in one transaction.

use palisade_catalog::secrets::random_client_secret;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::moves::Step;
use crate::provision::{self, Credential, event};
use crate::store::{verifier, verifier_like};
use crate::tenants::Tenant;
use crate::{Shared, audit, moves, operations};

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

/// The way back to the version before, where the tenant's version has an undo.
pub(crate) async fn way_back(shared: &Shared, tenant: &Tenant) -> Result<Option<(Step, String)>, Problem> {
    let client = shared.pool.get().await?;
    let row = client
        .query_opt(
            "SELECT v.undo_file, v.undo_body, (SELECT max(version) FROM palisade_control.template_versions p
                                              WHERE p.name = v.name AND p.version < v.version)
             FROM palisade_control.template_versions v
             WHERE v.name = $1 AND v.version = $2 AND v.undo_body IS NOT NULL",
            &[&tenant.template, &tenant.template_version],
        )
        .await?;
    Ok(row.and_then(|row| {
        let step =
            Step { from: tenant.template_version, to: row.get::<_, Option<i32>>(2)?, body: row.get(1) };
        Some((step, row.get(0)))
    }))
}

/// Takes a tenant back to the template version before.
pub(crate) async fn step_back(
    shared: &Shared,
    tenant: &Tenant,
    step: &Step,
    actor: &str,
    reason: &str,
) -> Result<Uuid, Problem> {
    let (operation, id) = (Uuid::now_v7(), tenant.typed_id()?);
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let text = format!("version {} to {}", step.from, step.to);
    operations::begin(&tx, operation, &tenant.id, "rollback", actor).await?;
    operations::step(&tx, operation, 1, "undo", "running", &text).await?;
    tx.commit().await?;
    let made = moves::run(shared, &id, step).await;
    let tx = client.transaction().await?;
    let error = made.as_ref().err().map(|e| e.message.as_str());
    operations::step(&tx, operation, 1, "undo", if error.is_some() { "failed" } else { "done" }, &text)
        .await?;
    operations::finish(&tx, operation, error).await?;
    let mut event = event("tenant.rollback", actor, &id, operation);
    event.tenant = Some(tenant.slug.clone());
    event.result = if error.is_some() { "failed" } else { "ok" }.into();
    event.detail = serde_json::json!({ "reason": reason, "from_version": step.from, "to_version": step.to });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    match made {
        Ok(()) => Ok(operation),
        Err(error) => Err(Problem::conflict(format!("the undo was not made: {}", error.message))),
    }
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
            "UPDATE palisade_control.tenants SET desired_state = $3, observed_state = $3
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

/// Gives a login a new secret. The old one is good for the grace time, in seconds, or refused from now on.
pub(crate) async fn rotate(
    shared: &Shared,
    tenant: &Tenant,
    login: &str,
    grace_seconds: u32,
    actor: &str,
) -> Result<Credential, Problem> {
    let secret = random_client_secret();
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let row = tx
        .query_opt(
            "SELECT kind, verifier FROM palisade_control.logins WHERE tenant_id = $1 AND name = $2 FOR UPDATE",
            &[&tenant.id, &login],
        )
        .await?;
    let row = row.ok_or_else(|| Problem::not_found(format!("the tenant has no login \"{login}\"")))?;
    let old: String = row.get(1);
    // With a grace time both have one salt: the client is told it before anybody knows which secret it has.
    let new = if grace_seconds > 0 { verifier_like(&secret, &old) } else { None };
    let new = new.unwrap_or_else(|| verifier(&secret));
    tx.execute(
        "UPDATE palisade_control.logins SET verifier = $3,
           previous_verifier = CASE WHEN $4::float8 > 0 THEN verifier END,
           previous_until = CASE WHEN $4::float8 > 0 THEN now() + make_interval(secs => $4::float8) END
         WHERE tenant_id = $1 AND name = $2",
        &[&tenant.id, &login, &new, &f64::from(grace_seconds)],
    )
    .await?;
    let mut event = event("login.rotate", actor, &tenant.typed_id()?, Uuid::now_v7());
    event.tenant = Some(tenant.slug.clone());
    event.detail = serde_json::json!({ "login": login, "grace_seconds": grace_seconds });
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    let url = provision::url(shared, login, &secret, &tenant.slug);
    Ok(Credential { login: login.to_owned(), kind: row.get(0), secret, url })
}

/// Takes secrets away whose grace time is over; sessions that stand on them end.
pub(crate) async fn end_graces(shared: &Shared) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    client
        .execute(
            "UPDATE palisade_control.logins SET previous_verifier = NULL, previous_until = NULL WHERE previous_until <= now()",
            &[],
        )
        .await?;
    Ok(())
}
