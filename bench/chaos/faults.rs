//! What goes wrong during the storm: servers killed, tenants suspended and resumed, cancels for nobody; and what must not
//! be noticed: the configuration read again, server connections changed, the policy put in force anew.

use crate::tenants::{World, query};
use crate::wire::cancel;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Time between two faults.
const BETWEEN: Duration = Duration::from_millis(250);
/// How long a tenant stays suspended.
const SUSPENDED: Duration = Duration::from_millis(1500);
/// Cancels at once with keys that were never given out.
const CANCELS: usize = 10;

const KILL_ONE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename ~ '^t_[a-z2-7]{20}_l_' ORDER BY random() LIMIT 1";

/// Makes faults until the storm is over, and takes back what lasts.
pub(crate) async fn run(world: Arc<World>, seed: u64, until: Instant) {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x00fa_0175);
    while Instant::now() < until {
        tokio::time::sleep(BETWEEN).await;
        let done = match rng.random_range(0..13) {
            // Cancels of strangers disturb nobody, not even in calm weather.
            0..=2 => strangers(&world, &mut rng).await,
            10 => console(&world, "RELOAD", "reloads").await,
            11 => console(&world, "RECONNECT", "all server connections changed").await,
            12 => policy(&world).await,
            _ if world.calm => Ok(()),
            3..=8 => kill(&world).await,
            _ => suspend(&world, &mut rng).await,
        };
        if let Err(e) = done {
            world.tally.found(format!("a fault could not be made: {e:#}"));
        }
    }
}

async fn kill(world: &World) -> anyhow::Result<()> {
    query(&world.admin, KILL_ONE).await?;
    world.tally.fault("servers killed");
    Ok(())
}

async fn console(world: &World, words: &str, what: &'static str) -> anyhow::Result<()> {
    query(&world.console, words).await?;
    world.tally.fault(what);
    Ok(())
}

/// The policy in force once more, under a new epoch: every verdict is asked again.
async fn policy(world: &World) -> anyhow::Result<()> {
    let api = world.api.clone();
    tokio::task::spawn_blocking(move || {
        let now = api.call("GET", "/policy", &json!({}))?;
        api.call("POST", "/policy", &json!({ "policy": now["policy"], "comment": "chaos" }))
    })
    .await??;
    world.tally.fault("policies put in force");
    Ok(())
}

async fn strangers(world: &World, rng: &mut StdRng) -> anyhow::Result<()> {
    for _ in 0..CANCELS {
        cancel(&world.tenants[0].address.host, (rng.random(), rng.random())).await?;
        world.tally.fault("cancels for nobody");
    }
    Ok(())
}

async fn suspend(world: &World, rng: &mut StdRng) -> anyhow::Result<()> {
    let tenant = &world.tenants[rng.random_range(0..world.tenants.len())];
    tenant.suspended.store(true, Ordering::SeqCst);
    call(world, &tenant.slug, "suspend").await?;
    tokio::time::sleep(SUSPENDED).await;
    call(world, &tenant.slug, "resume").await?;
    tenant.suspended.store(false, Ordering::SeqCst);
    world.tally.fault("tenants suspended");
    Ok(())
}

async fn call(world: &World, slug: &str, verb: &'static str) -> anyhow::Result<()> {
    let (api, path) = (world.api.clone(), format!("/tenants/{slug}/{verb}"));
    tokio::task::spawn_blocking(move || api.call("POST", &path, &json!({ "reason": "chaos" }))).await??;
    Ok(())
}
