//! The clients' lives: connect, do things, leave or vanish, come again.

use crate::act::{ACTS, Act, Actor};
use crate::tenants::{Tenant, World};
use crate::wire::{Trouble, Wire};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Most things that a client does on one connection.
const LIFE: u32 = 60;
/// Longest pause of a client, in milliseconds.
const PAUSE: u64 = 60;

/// One client's life, until the storm is over.
pub(crate) async fn live(world: Arc<World>, number: usize, seed: u64, until: Instant) {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
    while Instant::now() < until {
        let tenant = &world.tenants[number % world.tenants.len()];
        if let Err(trouble) = connection(&world, tenant, &mut rng, until).await {
            match trouble {
                Trouble::Lost(why) if world.calm => {
                    world.tally.found(format!("client {number} lost its connection: {why}"))
                }
                Trouble::Lost(why) => world.tally.lost(why),
                Trouble::Wrong(what) => world.tally.found(format!("client {number}: {what}")),
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..=PAUSE))).await;
    }
}

/// One connection from login to end.
pub(crate) async fn connection(
    world: &World,
    tenant: &Tenant,
    rng: &mut StdRng,
    until: Instant,
) -> Result<(), Trouble> {
    let oracle = world.oracle(tenant);
    let wire = match Wire::open(&tenant.address, oracle).await {
        Err(Trouble::Lost(_)) if tenant.suspended.load(Ordering::SeqCst) => {
            return Err(Trouble::Lost("login while suspended".into()));
        }
        Err(Trouble::Lost(code)) => return Err(Trouble::Lost(format!("login {code}"))),
        other => other?,
    };
    world.tally.done("login");
    let mut actor = Actor { wire, tenant, rng, prepared: Vec::new(), named: None };
    for _ in 0..actor.rng.random_range(1..LIFE) {
        if Instant::now() >= until {
            break;
        }
        let (act, name) = choose(actor.rng);
        let stays = actor.act(act).await.map_err(|trouble| match trouble {
            Trouble::Wrong(what) => Trouble::Wrong(format!("{name}: {what}")),
            lost => lost,
        })?;
        world.tally.done(name);
        if !stays {
            break;
        }
        let pause = actor.rng.random_range(0..PAUSE);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Ok(())
}

fn choose(rng: &mut StdRng) -> (Act, &'static str) {
    // The table is not empty and its weights are not all 0.
    ACTS.choose_weighted(rng, |(_, _, weight)| *weight)
        .map_or((Act::Simple, "simple query"), |(act, name, _)| (*act, *name))
}
