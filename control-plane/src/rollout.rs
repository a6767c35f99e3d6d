//! The worker behind migrations: takes one that runs, and moves its targets wave by wave. A crash leaves targets that are
//! tried again; a step that was made is not made twice.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use palisade_catalog::ids::TenantId;
use uuid::Uuid;

use crate::http::problem::Problem;
use crate::moves::{self, MoveError, Step};
use crate::{Shared, audit, provision};

/// How often migrations are looked for.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most tries of one target for locks and lost connections.
const ATTEMPTS: u32 = 5;
/// Wait before the second try; doubled for each further one, with up to as much again by chance.
const BACKOFF: Duration = Duration::from_millis(250);
/// Targets that are taken at once, for each that runs at a time: a pause waits for no more.
const TAKEN: i64 = 16;

/// A migration that this worker holds.
struct Held {
    id: Uuid,
    fence: i64,
    template: String,
    to_version: i32,
    parallelism: i32,
    max_failures: i32,
}

/// One target of it.
struct Wanted {
    tenant: TenantId,
    from: i32,
}

/// Works on migrations for ever.
pub(crate) async fn forever(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if let Err(problem) = once(&shared).await {
            tracing::warn!(detail = %problem.detail, "a migration's worker failed; it will be tried again");
        }
    }
}

async fn once(shared: &Shared) -> Result<(), Problem> {
    while let Some(held) = take(shared).await? {
        while next_batch(shared, &held).await? {}
    }
    Ok(())
}

/// Takes a running migration without a worker. What its last worker left in the middle is pending again.
async fn take(shared: &Shared) -> Result<Option<Held>, Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let row = tx
        .query_opt(
            "UPDATE palisade_control.migrations
             SET lease_until = clock_timestamp() + interval '1 minute', fence = fence + 1
             WHERE id = (SELECT id FROM palisade_control.migrations
                         WHERE state = 'running' AND lease_until < clock_timestamp()
                         ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
             RETURNING id, fence, template, to_version, parallelism, max_failures",
            &[],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let held = Held {
        id: row.get(0),
        fence: row.get(1),
        template: row.get(2),
        to_version: row.get(3),
        parallelism: row.get(4),
        max_failures: row.get(5),
    };
    tx.execute(
        "UPDATE palisade_control.migration_targets SET state = 'pending' WHERE migration_id = $1 AND state = 'running'",
        &[&held.id],
    )
    .await?;
    tx.commit().await?;
    Ok(Some(held))
}

/// Moves some targets. `false`: it is paused, ended, or somebody else's.
async fn next_batch(shared: &Shared, held: &Held) -> Result<bool, Problem> {
    let client = shared.pool.get().await?;
    let renewed = client
        .execute(
            "UPDATE palisade_control.migrations SET lease_until = clock_timestamp() + interval '1 minute'
             WHERE id = $1 AND fence = $2 AND state = 'running'",
            &[&held.id, &held.fence],
        )
        .await?;
    if renewed == 0 {
        return Ok(false);
    }
    let failed: i64 = client
        .query_one(
            "SELECT count(*) FROM palisade_control.migration_targets WHERE migration_id = $1 AND state = 'failed'",
            &[&held.id],
        )
        .await?
        .get(0);
    if failed > i64::from(held.max_failures) {
        let reason = format!("{failed} targets have failed, and {} may", held.max_failures);
        drop(client);
        end(shared, held, "paused", Some(&reason)).await?;
        return Ok(false);
    }
    // Only of the first wave that is not through.
    let rows = client
        .query(
            "UPDATE palisade_control.migration_targets SET state = 'running', started_at = clock_timestamp()
             WHERE migration_id = $1 AND tenant_id IN (
               SELECT tenant_id FROM palisade_control.migration_targets
               WHERE migration_id = $1 AND state = 'pending' AND wave = (
                 SELECT min(wave) FROM palisade_control.migration_targets WHERE migration_id = $1 AND state = 'pending')
               ORDER BY tenant_id LIMIT $2)
             RETURNING tenant_id, from_version",
            &[&held.id, &(i64::from(held.parallelism) * TAKEN)],
        )
        .await?;
    drop(client);
    if rows.is_empty() {
        end(shared, held, if failed > 0 { "failed" } else { "succeeded" }, None).await?;
        return Ok(false);
    }
    let mut wanted = Vec::new();
    for row in &rows {
        wanted.push(Wanted { tenant: TenantId::parse(row.get(0))?, from: row.get(1) });
    }
    let at_a_time = usize::try_from(held.parallelism).unwrap_or(1).max(1);
    let results: Vec<_> = futures::stream::iter(wanted)
        .map(|target| async move { target_done(shared, held, &target).await })
        .buffer_unordered(at_a_time)
        .collect()
        .await;
    results.into_iter().collect::<Result<Vec<()>, Problem>>()?;
    Ok(true)
}

/// Ends a migration, or pauses it, on record.
async fn end(shared: &Shared, held: &Held, state: &str, reason: Option<&str>) -> Result<(), Problem> {
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    let ended = tx
        .execute(
            "UPDATE palisade_control.migrations SET state = $3, reason = $4, lease_until = '-infinity',
               finished_at = CASE WHEN $3 = 'paused' THEN NULL ELSE clock_timestamp() END
             WHERE id = $1 AND fence = $2 AND state = 'running'",
            &[&held.id, &held.fence, &state, &reason],
        )
        .await?;
    if ended == 1 {
        let mut event = provision::system_event(&format!("migration.{state}"), "system");
        event.detail = serde_json::json!({ "migration": held.id, "template": held.template, "to_version": held.to_version });
        audit::insert(&tx, &event).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Moves one target and writes how it ended.
async fn target_done(shared: &Shared, held: &Held, target: &Wanted) -> Result<(), Problem> {
    let mut attempts = 0;
    let ended = loop {
        attempts += 1;
        match all_steps(shared, held, target).await {
            Err(error) if error.again && attempts < ATTEMPTS => {
                let chance: f64 = rand::random();
                tokio::time::sleep(BACKOFF.mul_f64((1.0 + chance) * f64::from(1 << (attempts - 1)))).await;
            }
            ended => break ended,
        }
    };
    let state = if ended.is_ok() { "done" } else { "failed" };
    let error = ended.err();
    let client = shared.pool.get().await?;
    let sql = client
        .prepare_cached(
            "UPDATE palisade_control.migration_targets
             SET state = $3, attempts = attempts + $4, sqlstate = $5, error = $6, finished_at = clock_timestamp()
             WHERE migration_id = $1 AND tenant_id = $2 AND state = 'running'
             -- Should a crash of the server lose it, the step is found to be made.
             RETURNING set_config('synchronous_commit', 'off', true)",
        )
        .await?;
    client
        .execute(
            &sql,
            &[
                &held.id,
                &target.tenant.as_str(),
                &state,
                &i32::try_from(attempts).unwrap_or(i32::MAX),
                &error.as_ref().and_then(|e| e.sqlstate.clone()),
                &error.as_ref().map(|e| e.message.clone()),
            ],
        )
        .await?;
    Ok(())
}

/// Every step from where the tenant is to the wished version, each in a transaction of its own.
async fn all_steps(shared: &Shared, held: &Held, target: &Wanted) -> Result<(), MoveError> {
    let client = shared.pool.get().await?;
    let sql = client
        .prepare_cached(
            "SELECT v.version, v.body, t.template_version FROM palisade_control.tenants t
             JOIN palisade_control.template_versions v ON v.name = $2 AND v.version > t.template_version AND v.version <= $3
             WHERE t.id = $1 AND t.template = $2 AND t.observed_state IN ('active', 'suspended') ORDER BY v.version",
        )
        .await?;
    let rows = client.query(&sql, &[&target.tenant.as_str(), &held.template, &held.to_version]).await?;
    drop(client);
    let mut from = rows.first().map_or(target.from, |row| row.get(2));
    for row in &rows {
        let step = Step { from, to: row.get(0), body: row.get(1) };
        moves::run(shared, &target.tenant, &step).await?;
        from = step.to;
    }
    Ok(())
}
