//! Tenants that are made in the middle of the storm, used at once, and dropped under their clients.

use crate::crowd;
use crate::tenants::{Tenant, World};
use crate::wire::{Trouble, Wire};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two guests.
const BETWEEN: Duration = Duration::from_millis(500);
/// Clients of a guest.
const CLIENTS: usize = 3;
/// Tokens of guests begin behind those of the run's own tenants.
const FIRST: usize = 1_000_000;
/// How long a proxy may take to hear of a new tenant, or of one that is gone.
const HEARD: Duration = Duration::from_secs(5);

/// Makes, uses and drops tenants until the storm is over.
pub(crate) async fn run(world: Arc<World>, seed: u64, until: Instant) {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x6e57);
    let mut number = FIRST;
    while Instant::now() < until {
        tokio::time::sleep(BETWEEN).await;
        if let Err(e) = guest(&world, number, &mut rng).await {
            world.tally.found(format!("guest {number}: {e:#}"));
        }
        number += 1;
    }
}

async fn guest(world: &Arc<World>, number: usize, rng: &mut StdRng) -> anyhow::Result<()> {
    let tenant = Arc::new(Tenant::make(&world.api, number, world.run, world.host.as_deref()).await?);
    world.tally.fault("tenants created");
    // The proxy hears of it within a second.
    let heard = Instant::now();
    while let Err(trouble) = Wire::open(&tenant.address, world.oracle(&tenant)).await {
        if let Trouble::Wrong(what) = trouble {
            anyhow::bail!("{what}");
        }
        anyhow::ensure!(heard.elapsed() < HEARD, "a new tenant is not let in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let leave = Instant::now() + Duration::from_millis(rng.random_range(300..2_000));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (world, tenant, mut rng) =
                (world.clone(), tenant.clone(), StdRng::seed_from_u64(rng.random()));
            tokio::spawn(async move {
                while !tenant.suspended.load(std::sync::atomic::Ordering::SeqCst) {
                    match crowd::connection(&world, &tenant, &mut rng, leave + HEARD).await {
                        Err(Trouble::Wrong(what)) => {
                            world.tally.found(format!("client {n} of a guest: {what}"))
                        }
                        Err(Trouble::Lost(why)) => world.tally.lost(why),
                        Ok(()) => {}
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(leave.saturating_duration_since(Instant::now())).await;
    // From here on it may vanish under its clients.
    tenant.suspended.store(true, std::sync::atomic::Ordering::SeqCst);
    let (api, gone) = (world.api.clone(), tenant.clone());
    tokio::task::spawn_blocking(move || gone.remove(&api)).await??;
    world.tally.fault("tenants dropped");
    for client in clients {
        client.await?;
    }
    let dropped = Instant::now();
    while Wire::open(&tenant.address, world.oracle(&tenant)).await.is_ok() {
        anyhow::ensure!(dropped.elapsed() < HEARD, "a tenant that is gone is let in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
