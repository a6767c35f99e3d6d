//! `palisade control-plane`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use palisade_control_plane::config::ControlPlaneConfig;

use crate::config;
use crate::plane;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The configuration file (TOML); variables PALISADE__TABLE__KEY override it
    #[arg(long, env = "PALISADE_CONFIG")]
    config: Option<PathBuf>,
}

pub(crate) fn control_plane(args: Args) -> Result<()> {
    logging();
    let table = config::load(args.config.as_deref(), std::env::vars())?;
    let config = control_plane_config(&table)?;
    tokio::runtime::Runtime::new().context("starting the runtime")?.block_on(plane::serve(config, || {
        tracing::info!("the control plane is ready");
        Ok(())
    }))
}

/// The table `[control_plane]`, or every error in it.
pub(crate) fn control_plane_config(table: &toml::Table) -> Result<ControlPlaneConfig> {
    let mut errors = Vec::new();
    for name in table.keys().filter(|name| *name != "control_plane") {
        errors.push(format!("[{name}] is not a table of this configuration"));
    }
    let read: Option<ControlPlaneConfig> = config::section(table, "control_plane", &mut errors);
    if let Some(config) = &read {
        errors.extend(config.errors());
    }
    config::all_or_nothing(&errors)?;
    read.context("the configuration cannot be read")
}

/// Logs as JSON lines to standard error; RUST_LOG chooses what.
pub(crate) fn logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,refinery_core=warn"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
}
