//! `palisade healthcheck`: the exit code says whether a Palisade is ready.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The readiness address to ask
    #[arg(long, default_value = "http://127.0.0.1:8080/readyz")]
    url: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .new_agent();
    let response = agent.get(&args.url).call().with_context(|| format!("{} does not answer", args.url))?;
    if !response.status().is_success() {
        bail!("{} says {}", args.url, response.status());
    }
    println!("ready");
    Ok(())
}
