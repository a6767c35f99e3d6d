//! A tenant made from another: its structure, or with its data. Verified like a new one, and against what it was made
//! from.

use palisade_catalog::names;

use crate::http::problem::Problem;
use crate::provision::{Begun, describe};
use crate::tenants::Tenant;
use crate::{Shared, copies, operations, provision, removal};

/// Makes, fills, verifies and opens what was begun. What fails is removed.
pub(crate) async fn complete(
    shared: &Shared,
    begun: &Begun,
    from: &Tenant,
    structure_only: bool,
) -> Result<(), Problem> {
    let tenant = &begun.tenant;
    let made = match provision::lay_foundation(shared, begun).await {
        Ok(()) => fill(shared, begun, from, structure_only).await,
        Err(problem) => Err(problem),
    };
    let made = match made {
        Ok(()) => provision::open_verified(shared, begun).await,
        Err(problem) => Err(problem),
    };
    if let Err(problem) = made {
        removal::remove(shared, &tenant.id, tenant.operation, &tenant.actor, &problem.detail).await?;
        return Err(problem);
    }
    Ok(())
}

async fn fill(shared: &Shared, begun: &Begun, from: &Tenant, structure_only: bool) -> Result<(), Problem> {
    let owner = begun.credentials.iter().find(|c| c.kind == "owner");
    let owner = owner.ok_or_else(|| Problem::internal("the new tenant has no owner's login".into()))?;
    let to = copies::way(shared, begun.tenant.slug.as_str(), &owner.login, &owner.secret)?;
    copies::let_in(shared, &to).await?;
    let way = copies::open(shared, &from.id, &from.slug).await?;
    let held = hold(shared, begun);
    let copied = tokio::select! {
        copied = tokio::time::timeout(copies::LONGEST, copy(shared, &way, &to, structure_only)) => {
            copied.unwrap_or_else(|_| Err("it took longer than an hour".into()))
        }
        ended = held => Err(ended),
    };
    copies::close(shared, &from.id, &way).await;
    copied.map_err(|said| Problem::conflict(format!("the copy was not made: {said}")))?;
    same(shared, from, begun).await
}

/// Keeps the operation's lease while the copy runs; ends when somebody wants it to end.
async fn hold(shared: &Shared, begun: &Begun) -> String {
    let operation = begun.tenant.operation;
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        // Where the database is away the copy fails by itself.
        let Ok(mut client) = shared.pool.get().await else { continue };
        let Ok(tx) = client.transaction().await else { continue };
        if let Ok(Some(actor)) = operations::cancelled_by(&tx, operation).await {
            return format!("the operation was cancelled by {actor}");
        }
        let running = operations::step(&tx, operation, 3, "copy", "running", "through the proxy").await;
        if running.is_ok() {
            // An error is met again at the next look.
            let _ = tx.commit().await;
        }
    }
}

async fn copy(
    shared: &Shared,
    from: &copies::Way,
    to: &copies::Way,
    structure_only: bool,
) -> Result<(), String> {
    let mut dump = copies::dump(shared, from, structure_only).map_err(|problem| problem.detail)?;
    let from = dump.stdout.take().ok_or("pg_dump has no output")?;
    let mut restore = copies::restore(shared, to).map_err(|problem| problem.detail)?;
    let into = restore.stdin.take().ok_or("psql has no input")?;
    let (fed, dumped, restored) = tokio::join!(
        copies::feed(from, into),
        copies::ended(dump, "pg_dump"),
        copies::ended(restore, "psql")
    );
    // A restore that fails breaks the dump's pipe: its own words say more, and a broken pipe the least.
    restored.and(dumped).and(fed.map_err(|error| format!("the dump was not handed on: {error}")))
}

/// The copy's structure must be the original's, grants included.
async fn same(shared: &Shared, from: &Tenant, begun: &Begun) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    let row = client
        .query_one(
            "WITH a AS (SELECT line FROM palisade_control.describe_schema($1) AS line),
                  b AS (SELECT line FROM palisade_control.describe_schema($2) AS line)
             SELECT coalesce((SELECT 'it lacks ' || line FROM (TABLE a EXCEPT ALL TABLE b) x LIMIT 1),
                             (SELECT 'it has ' || line FROM (TABLE b EXCEPT ALL TABLE a) y LIMIT 1))",
            &[&from.schema, &names::schema(&begun.tenant.id)],
        )
        .await
        .map_err(|error| Problem::internal(describe(&error)))?;
    match row.get::<_, Option<String>>(0) {
        None => Ok(()),
        Some(odd) => Err(Problem::conflict(format!("the copy is not what it was made from: {odd}"))),
    }
}
