//! A crowd of many tenants' clients in transaction pooling, with faults, that looks at every byte which comes back.
//!
//! - `oracle`: whose tokens stand in an answer. Pure.
//! - `wire`: a raw connection that cuts what it sends wherever it likes.
//! - `act`: what clients do, and what they must get.
//! - `crowd`: the clients' lives; `faults`: servers killed, tenants suspended, cancels for nobody, reloads, new policies.
//! - `guests`: tenants that are made meanwhile, used, and dropped under their clients.
//! - `upgrades`: a proxy of the run's own that new processes take over.
//! - `tenants`: the tenants, made through the API; `tally`: what was done and what was wrong.
//! - `settle`: after the storm: rows balance, nobody is left, everybody is served.
//!
//! `chaos --env .palisade/dev.env --duration 60 --seed 1 --tenants 10 --clients 200` ends with 1 where anything was
//! wrong. With one seed the same clients do the same things, as far as scheduling lets them.

mod act;
mod crowd;
mod faults;
mod guests;
mod oracle;
mod settle;
mod tally;
mod tenants;
mod upgrades;
mod wire;

use clap::Parser;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often progress is shown.
const PROGRESS: Duration = Duration::from_secs(5);

#[derive(Parser)]
#[command(about = "A crowd of tenants' clients with faults; whatever reaches the wrong client is found")]
struct Arguments {
    /// The file that `palisade up` wrote
    #[arg(long)]
    env: PathBuf,
    /// Seconds that the storm lasts
    #[arg(long, default_value_t = 30)]
    duration: u64,
    /// Seed of everything that is random; drawn and shown where it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// Tenants, made for this run; their pools have 1, 2, 3 and 4 server connections in turn
    #[arg(long, default_value_t = 8)]
    tenants: usize,
    /// Clients of all tenants together
    #[arg(long, default_value_t = 120)]
    clients: usize,
    /// Without servers killed and tenants suspended: then no error at all is forgiven
    #[arg(long)]
    calm: bool,
    /// Let the clients use a proxy of the run's own, which a new process takes over every few seconds: the palisade program
    #[arg(long, value_name = "PROGRAM")]
    upgrades: Option<PathBuf>,
}

fn say(text: &str) {
    // A closed pipe is no reason to stop the storm.
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    say(&format!(
        "seed {seed}: {} tenants, {} clients, {} s",
        arguments.tenants, arguments.clients, arguments.duration
    ));
    let env = tenants::read_env(&arguments.env)?;
    let own =
        arguments.upgrades.as_deref().map(|program| upgrades::Own::start(program, &arguments.env, &env));
    let own = own.transpose()?;
    let host = own.as_ref().map(upgrades::Own::host);
    let world = Arc::new(tenants::World::make(&env, arguments.tenants, arguments.calm, host).await?);
    let until = Instant::now() + Duration::from_secs(arguments.duration);
    let clients: Vec<_> = (0..arguments.clients)
        .map(|n| tokio::spawn(crowd::live(Arc::clone(&world), n, seed, until)))
        .collect();
    let faults = tokio::spawn(faults::run(Arc::clone(&world), seed, until));
    let guests = tokio::spawn(guests::run(Arc::clone(&world), seed, until));
    let upgraded = tokio::spawn(upgrades::run(own, Arc::clone(&world), until));
    while Instant::now() < until {
        tokio::time::sleep(PROGRESS.min(until.saturating_duration_since(Instant::now()))).await;
        say(&world.tally.progress());
    }
    for client in clients {
        client.await?;
    }
    faults.await?;
    guests.await?;
    let own = upgraded.await?;
    let metrics =
        own.as_ref().map(upgrades::Own::metrics).or_else(|| env.get("PALISADE_METRICS_URL").cloned());
    settle::check(&world, metrics.as_deref()).await;
    settle::remove(&world);
    say(&world.tally.summary());
    match world.tally.wrong() {
        0 => Ok(()),
        wrong => anyhow::bail!("{wrong} things were wrong; seed {seed}"),
    }
}
