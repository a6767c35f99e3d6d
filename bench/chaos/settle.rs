//! After the storm: rows balance, nobody is left, everybody is served.

use crate::tenants::{Tenant, World, query};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long everything may take to come to rest.
const REST: Duration = Duration::from_secs(15);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);

const OPEN_TRANSACTIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename ~ '^t_[a-z2-7]{20}_l_' AND (state <> 'idle' OR xact_start IS NOT NULL)";
const SESSION_LOCKS: &str = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.usename ~ '^t_[a-z2-7]{20}_l_' AND l.locktype = 'advisory'";

/// Checks everything that must hold when all clients have left.
pub(crate) async fn check(world: &World, metrics_url: Option<&str>) {
    let mut good = 0;
    for tenant in &world.tenants {
        match balance(tenant).await {
            Ok(()) => good += 1,
            Err(e) => world.tally.check(&format!("rows of {}", tenant.slug), false, format!("{e:#}")),
        }
    }
    world.tally.check(
        "tenants served whose rows balance",
        good == world.tenants.len(),
        format!("{good} of {}", world.tenants.len()),
    );
    for (name, sql) in [("transactions left open", OPEN_TRANSACTIONS), ("advisory locks left", SESSION_LOCKS)]
    {
        let left = rests(|| async { query(&world.admin, sql).await.unwrap_or_else(|e| e.to_string()) }).await;
        world.tally.check(name, left == "0", left);
    }
    match metrics_url {
        Some(url) => metrics(world, url).await,
        None => world.tally.check("metrics", false, "PALISADE_METRICS_URL is not in the file".into()),
    }
}

/// Every row whose commit was answered is there, none that was rolled back, none of unknown origin.
async fn balance(tenant: &Tenant) -> anyhow::Result<()> {
    let count = |sql: String| async move { anyhow::Ok(tenant.sql(&sql).await?.parse::<u64>()?) };
    let kept = count("SELECT count(*) FROM ledger WHERE kept".into()).await?;
    let never = count("SELECT count(*) FROM ledger WHERE NOT kept".into()).await?;
    let foreign = count(format!(
        "SELECT count(*) FROM ledger WHERE owner <> '{0}' OR note !~ '^cli#[0-9]+[.][0-9]+#$'",
        tenant.token
    ))
    .await?;
    let least = tenant.committed.load(Ordering::SeqCst);
    let most = least + tenant.unknown.load(Ordering::SeqCst);
    anyhow::ensure!((least..=most).contains(&kept), "{kept} rows where {least} to {most} are due");
    anyhow::ensure!(never == 0, "{never} rows of transactions that were never committed");
    anyhow::ensure!(foreign == 0, "{foreign} rows of others");
    Ok(())
}

/// Asks until the answer is "0" or time is over.
async fn rests<F: Future<Output = String>>(ask: impl Fn() -> F) -> String {
    let deadline = Instant::now() + REST;
    loop {
        let answer = ask().await;
        if answer == "0" || Instant::now() > deadline {
            return answer;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The proxy's own counts: nobody is connected, nobody waits, no server works.
async fn metrics(world: &World, url: &str) {
    for gauge in [
        "palisade_clients{state=\"active\"}",
        "palisade_clients{state=\"idle\"}",
        "palisade_clients{state=\"waiting\"}",
        "palisade_servers{state=\"active\"}",
    ] {
        let left = rests(|| async { value(url, gauge).await.unwrap_or_else(|e| e.to_string()) }).await;
        world.tally.check(gauge, left == "0", left);
    }
}

async fn value(url: &str, gauge: &'static str) -> anyhow::Result<String> {
    let url = url.to_owned();
    let text =
        tokio::task::spawn_blocking(move || ureq::get(&url).call()?.body_mut().read_to_string()).await??;
    Ok(text
        .lines()
        .find_map(|line| line.strip_prefix(gauge)?.strip_prefix(' '))
        .unwrap_or("(no such metric)")
        .to_owned())
}

/// Removes the tenants; a tenant that stays is named.
pub(crate) fn remove(world: &World) {
    for tenant in &world.tenants {
        if let Err(e) = tenant.remove(&world.api) {
            world.tally.check(&format!("removal of {}", tenant.slug), false, format!("{e:#}"));
        }
    }
}
