//! `palisade proxy` and `palisade control-plane`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use palisade_control_plane::config::ControlPlaneConfig;
use palisade_proxy::config::ProxyConfig;
use toml::Table;

use crate::config;
use crate::plane::{Planes, serve};

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The configuration file (TOML); variables PALISADE__TABLE__KEY override it
    #[arg(long, env = "PALISADE_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub(crate) struct ProxyArgs {
    #[command(flatten)]
    common: Args,
    /// Take the listeners over from the proxy that runs: start with this, then send SIGQUIT to the old process
    #[arg(long)]
    upgrade: bool,
}

pub(crate) fn control_plane(args: Args) -> Result<()> {
    logging();
    let (control, _) = sections(&config::load(args.config.as_deref(), std::env::vars())?, true, false)?;
    let reread = Box::new(|| Err("there is no proxy here".to_owned()));
    serve(Planes { control, proxy: None, reread, upgrade: false }, || {
        tracing::info!("the control plane is ready");
        Ok(())
    })
}

pub(crate) fn proxy(args: ProxyArgs) -> Result<()> {
    logging();
    let file = args.common.config;
    let read = move || sections(&config::load(file.as_deref(), std::env::vars())?, false, true);
    let (_, proxy) = read()?;
    let reread = Box::new(move || {
        let (_, proxy) = read().map_err(|e| format!("{e:#}"))?;
        proxy.ok_or_else(|| "the configuration has no proxy".to_owned())
    });
    serve(Planes { control: None, proxy, reread, upgrade: args.upgrade }, || {
        tracing::info!("the proxy is ready");
        Ok(())
    })
}

/// The wanted tables of a configuration, or every error in them.
pub(crate) fn sections(
    table: &Table,
    want_control: bool,
    want_proxy: bool,
) -> Result<(Option<ControlPlaneConfig>, Option<ProxyConfig>)> {
    let mut errors = Vec::new();
    for name in table.keys().filter(|name| !matches!(name.as_str(), "control_plane" | "proxy")) {
        errors.push(format!("[{name}] is not a table of this configuration"));
    }
    let mut control: Option<ControlPlaneConfig> = None;
    if want_control {
        control = config::section(table, "control_plane", &mut errors);
        if let Some(control) = control.as_mut().filter(|control| control.shared_schemas.is_empty()) {
            control.shared_schemas = shared_schemas(table);
        }
        errors.extend(control.iter().flat_map(ControlPlaneConfig::errors));
    }
    let mut proxy: Option<ProxyConfig> = None;
    if want_proxy {
        proxy = config::section(table, "proxy", &mut errors);
        errors.extend(proxy.iter().flat_map(ProxyConfig::errors));
    }
    config::all_or_nothing(&errors)?;
    Ok((control, proxy))
}

/// What the proxy of the same file shares with all tenants. A mistake in it is said where the proxy's table is read.
fn shared_schemas(table: &Table) -> Vec<String> {
    let shared = table.get("proxy").and_then(|proxy| proxy.get("shared_schemas"));
    shared.cloned().and_then(|shared| shared.try_into().ok()).unwrap_or_default()
}

/// Both tables, which must be there.
pub(crate) fn both(table: &Table) -> Result<(ControlPlaneConfig, ProxyConfig)> {
    let (control, proxy) = sections(table, true, true)?;
    control.zip(proxy).context("the configuration cannot be read")
}

/// Logs as JSON lines to standard error; RUST_LOG chooses what.
pub(crate) fn logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new("info,refinery_core=warn,tokio_postgres=warn")
    });
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_plane_explains_with_what_the_proxy_shares() {
        let shared = |text: &str| {
            let table = text.parse().unwrap();
            let read = sections(&table, true, false).map_err(|error| format!("{error:#}"));
            read.map(|(control, _)| control.unwrap().shared_schemas)
        };
        let base = "[control_plane]\ndatabase_url = 'postgres://a@b/c'\nmaster_key_file = 'k'\n\
                    auth = { public_key_file = 'p' }\n";
        for (more, expected) in [
            ("", Vec::new()),
            ("[proxy]\nshared_schemas = ['ext', 'geo']", vec!["ext", "geo"]),
            ("shared_schemas = ['own']\n[proxy]\nshared_schemas = ['ext']", vec!["own"]),
            ("[proxy]\nlisten = '127.0.0.1:1'", Vec::new()),
        ] {
            assert_eq!(shared(&format!("{base}{more}")).unwrap(), expected, "{more}");
        }
        assert!(shared(&format!("{base}shared_schemas = 'ext'")).unwrap_err().contains("shared_schemas"));
    }
}
