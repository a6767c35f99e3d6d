//! The embedded default behind `palisade up`.
//!
//! - [`layout`]: the data folder: where every file is, who may read it.
//! - [`postgres`]: a private PostgreSQL by its own tools (`initdb`, `pg_ctl`).
//! - [`server`]: the database that both planes use: the private one, or one named by URL.
//! - [`demo`]: the demo tenants and their data.
//! - [`dev_env`]: `.palisade/dev.env`, for shells and tests.
//! - [`ports`]: are the ports free.

pub(crate) mod demo;
pub(crate) mod dev_env;
pub(crate) mod layout;
pub(crate) mod ports;
pub(crate) mod postgres;
pub(crate) mod server;

/// Prints one line of progress.
pub(crate) fn say(line: &str) {
    println!("  {line}");
}
