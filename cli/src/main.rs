//! The `palisade` command: assembles the two planes and talks to them.
//!
//! - [`commands`]: one file a subcommand.
//! - [`up`]: the embedded default: a private PostgreSQL, both planes, two demo tenants.
//! - [`config`]: one TOML file plus environment variables; all errors at once.
//! - [`api`]: the client of the control plane's API.

#![allow(clippy::print_stdout, reason = "the command line prints: that is its answer")]

mod api;
mod commands;
mod config;
mod plane;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// PostgreSQL for many tenants: proxy and control plane.
#[derive(Parser)]
#[command(name = "palisade", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine: a private PostgreSQL, the control plane, the proxy, two demo tenants
    Up(commands::up::Args),
    /// Run the proxy
    Proxy(commands::serve::ProxyArgs),
    /// Run the control plane
    ControlPlane(commands::serve::Args),
    /// Create and look after tenants
    #[command(subcommand)]
    Tenant(commands::tenant::Command),
    /// Show how a statement is read, judged and rewritten
    Explain(commands::explain::Args),
    /// Read the audit trail
    #[command(subcommand)]
    Audit(commands::audit::Command),
    /// Make keys
    #[command(subcommand)]
    Keys(commands::keys::Command),
    /// Make an API token from a private key
    Token(commands::token::Args),
    /// Check a configuration file and print every error in it
    Config(commands::config::Args),
    /// Ask a running Palisade whether it is ready; the exit code is the answer
    Healthcheck(commands::healthcheck::Args),
}

fn main() -> ExitCode {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        unreachable!("nothing installed a TLS provider before main");
    }
    let result = match Cli::parse().command {
        Command::Up(args) => commands::up::run(args),
        Command::Proxy(args) => commands::serve::proxy(args),
        Command::ControlPlane(args) => commands::serve::control_plane(args),
        Command::Tenant(command) => commands::tenant::run(command),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Audit(command) => commands::audit::run(command),
        Command::Keys(command) => commands::keys::run(&command),
        Command::Token(args) => commands::token::run(&args),
        Command::Config(args) => commands::config::run(&args),
        Command::Healthcheck(args) => commands::healthcheck::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palisade: {error:#}");
            ExitCode::FAILURE
        }
    }
}
