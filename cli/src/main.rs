//! The `palisade` command: assembles the two planes and talks to them.
//!
//! - [`commands`]: one file a subcommand.
//! - [`up`]: the embedded default: a private PostgreSQL, both planes, two demo tenants.
//! - [`config`]: one TOML file plus environment variables; all errors at once.
//! - [`api`]: the client of the control plane's API.

#![allow(clippy::print_stdout, reason = "the command line prints: that is its answer")]

/// `println!` that ends the process quietly where the reader has gone (`palisade audit list | head`).
macro_rules! println {
    () => { $crate::print_line(format_args!("")) };
    ($($text:tt)*) => { $crate::print_line(format_args!($($text)*)) };
}

mod api;
mod commands;
mod config;
mod plane;
mod up;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// PostgreSQL for many tenants: proxy and control plane.
///
/// Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 no such thing, 4 the state or a value does not allow it, 5 not
/// allowed, 6 the control plane does not answer.
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
    /// Register templates, and list them
    #[command(subcommand)]
    Template(commands::template::Command),
    /// Make plans, and list them
    #[command(subcommand)]
    Plan(commands::plan::Command),
    /// Move all tenants of a template to a version
    #[command(subcommand)]
    Migrate(commands::migrate::Command),
    /// Show and watch operations
    #[command(subcommand)]
    Operation(commands::operation::Command),
    /// Show the whole installation; 0: all is well, 7: something wants attention
    Status(commands::status::Args),
    /// Show who is not what its template makes
    Drift(commands::drift::Args),
    /// Check, activate and roll back the policy
    #[command(subcommand)]
    Policy(commands::policy::Command),
    /// Show how a statement is read, judged and rewritten
    Explain(commands::explain::Args),
    /// Read the audit trail
    #[command(subcommand)]
    Audit(commands::audit::Command),
    /// Attack a running installation as a hostile tenant would; 0: nothing leaked, 1: something did, 2: it could not run
    LeakTest(commands::leak_test::Args),
    /// Check the signature of a leak test's report
    #[command(subcommand)]
    Report(commands::report::Command),
    /// Make keys
    #[command(subcommand)]
    Keys(commands::keys::Command),
    /// Make, list and revoke API tokens, or sign one with a private key
    Token(commands::token::Args),
    /// Check a configuration file and print every error in it
    Config(commands::config::Args),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
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
        Command::Template(command) => commands::template::run(command),
        Command::Plan(command) => commands::plan::run(command),
        Command::Migrate(command) => commands::migrate::run(command),
        Command::Operation(command) => commands::operation::run(command),
        Command::Status(args) => match commands::status::run(&args) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Drift(args) => commands::drift::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "palisade", &mut script);
            commands::out::pour(script.as_slice(), "the script cannot be printed")
        }
        Command::Policy(command) => commands::policy::run(command),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Audit(command) => commands::audit::run(command),
        Command::LeakTest(args) => commands::leak_test::run(&args),
        Command::Report(command) => commands::report::run(command),
        Command::Keys(command) => commands::keys::run(&command),
        Command::Token(args) => commands::token::run(&args),
        Command::Config(args) => commands::config::run(&args),
        Command::Healthcheck(args) => commands::healthcheck::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palisade: {error:#}");
            api::exit_code(&error)
        }
    }
}

/// Prints a line, or ends the process where nobody reads it.
fn print_line(text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    if let Err(error) = writeln!(std::io::stdout().lock(), "{text}") {
        std::process::exit(i32::from(error.kind() != std::io::ErrorKind::BrokenPipe));
    }
}
