//! `palisade up`: everything on this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use palisade_control_plane::config::ControlPlaneConfig;
use palisade_proxy::Reread;
use palisade_proxy::config::ProxyConfig;
use toml::Value;

use crate::commands::serve::{both, logging};
use crate::commands::{keys, token};
use crate::config;
use crate::plane::{self, Planes};
use crate::up::layout::Layout;
use crate::up::server::Server;
use crate::up::{demo, dev_env, ports, say};

/// How long the token in dev.env is good for, in hours.
const TOKEN_HOURS: u32 = 30 * 24;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Where the private database, keys and dev.env are kept
    #[arg(long, default_value = ".palisade")]
    data_dir: PathBuf,
    /// Use this PostgreSQL instead of a private one (a superuser's connection string)
    #[arg(long, env = "PALISADE_UP_DATABASE_URL")]
    database_url: Option<String>,
    /// Make no demo tenants
    #[arg(long)]
    no_demo: bool,
}

pub(crate) fn run(args: Args) -> Result<()> {
    logging();
    let started = Instant::now();
    let layout = Layout::open(&args.data_dir)?;
    make_keys(&layout)?;
    // The addresses are checked before anything is started.
    let (mut control, mut proxy) =
        settings(&layout, "postgres://postgres@127.0.0.1/palisade", "127.0.0.1:5432")?;
    ports::check(&[
        ("the API", control.listen, "PALISADE__CONTROL_PLANE__LISTEN"),
        ("the proxy", proxy.listen, "PALISADE__PROXY__LISTEN"),
        ("the admin console", proxy.admin_listen, "PALISADE__PROXY__ADMIN_LISTEN"),
        ("the metrics", proxy.metrics_listen, "PALISADE__PROXY__METRICS_LISTEN"),
    ])?;
    let server = Server::open(&layout, args.database_url.as_deref())?;
    control.database_url.clone_from(&server.url);
    control.proxy_address = proxy.listen.to_string();
    control.verify_through = Some(proxy.listen.to_string());
    control.consoles = vec![proxy.admin_listen.to_string()];
    control.console_password_file = Some(layout.admin_password());
    (proxy.server, proxy.database) = server.address()?;
    std::fs::write(layout.pid(), format!("{}\n", std::process::id()))
        .context("writing the process's number")?;
    let (data_dir, url, place) =
        (args.data_dir.clone(), server.url.clone(), (proxy.server.clone(), proxy.database.clone()));
    let reread: Reread = Box::new(move || {
        let read = Layout::open(&data_dir).and_then(|layout| settings(&layout, &url, &place.0));
        let (_, mut proxy) = read.map_err(|e| format!("{e:#}"))?;
        (proxy.server, proxy.database) = place.clone();
        Ok(proxy)
    });
    let served = serve(&layout, &control, (proxy, reread), &server, !args.no_demo, started);
    // Stopped whatever happened; an error of the service is the one to show.
    let stopped = server.stop();
    for file in [layout.pid(), layout.run().join("ready")] {
        // Gone already is as good.
        let _ = std::fs::remove_file(file);
    }
    served?;
    stopped?;
    println!("stopped");
    Ok(())
}

fn serve(
    layout: &Layout,
    settings: &ControlPlaneConfig,
    (proxy, reread): (ProxyConfig, Reread),
    server: &Server,
    demo: bool,
    started: Instant,
) -> Result<()> {
    let addresses =
        Addresses { proxy: proxy.listen, console: proxy.admin_listen, metrics: proxy.metrics_listen };
    let planes = Planes { control: Some(settings.clone()), proxy: Some(proxy), reread, upgrade: false };
    plane::serve(planes, || {
        let token = token::sign(
            &layout.jwt_private(),
            "dev-admin",
            "admin",
            (&settings.auth.issuer, &settings.auth.audience),
            TOKEN_HOURS,
        )?;
        let mut env = dev_env::read(&layout.dev_env()).unwrap_or_default();
        let api = format!("http://{}", settings.listen);
        env.insert("PALISADE_API_URL".into(), api.clone());
        env.insert("PALISADE_ADMIN_TOKEN".into(), token.clone());
        env.insert("PALISADE_DATABASE_URL".into(), server.url.clone());
        env.insert("PALISADE_METRICS_URL".into(), format!("http://{}/metrics", addresses.metrics));
        let password =
            std::fs::read_to_string(layout.admin_password()).context("reading the console's password")?;
        let console = format!("postgres://palisade:{}@{}/palisade", password.trim(), addresses.console);
        env.insert("PALISADE_CONSOLE_URL".into(), console);
        if demo {
            demo::make(&api, &token, &mut env)?;
        }
        // The secrets are kept before they are used.
        dev_env::write(&layout.dev_env(), &env)?;
        if demo {
            // Somebody may have given a demo tenant other secrets or tables: that keeps nothing from starting.
            if let Err(error) = tokio::runtime::Handle::current().block_on(demo::seed(&env)) {
                say(&format!("the demo tenants' data is left as it is: {error:#}"));
            }
        }
        announce(layout, settings, &addresses, &env, started)
    })
}

/// Where the data plane listens.
struct Addresses {
    proxy: std::net::SocketAddr,
    console: std::net::SocketAddr,
    metrics: std::net::SocketAddr,
}

/// Says where everything is; the same text is kept for `./dev status`.
fn announce(
    layout: &Layout,
    settings: &ControlPlaneConfig,
    addresses: &Addresses,
    env: &BTreeMap<String, String>,
    started: Instant,
) -> Result<()> {
    let file = layout.dev_env();
    let shown = std::env::current_dir().ok().and_then(|here| file.strip_prefix(here).ok().map(PathBuf::from));
    let shown = shown.unwrap_or(file);
    let mut text = format!(
        "\nPalisade is up ({:.1} s)\n  proxy      {}\n  API        http://{}/api/v1\n  UI         http://{}/\n  console    {} (PALISADE_CONSOLE_URL)\n  metrics    http://{}/metrics\n  token      in {} (PALISADE_ADMIN_TOKEN)\n",
        started.elapsed().as_secs_f32(),
        addresses.proxy,
        settings.listen,
        settings.listen,
        addresses.console,
        addresses.metrics,
        shown.display()
    );
    for tenant in demo::TENANTS {
        if env.contains_key(&demo::variable(tenant, "owner")) {
            text.push_str(&format!(
                "  {tenant:<10} connection strings in {} (PALISADE_URL_{}_…)\n",
                shown.display(),
                tenant.to_uppercase()
            ));
        }
    }
    text.push_str("Ctrl-C stops everything.\n");
    std::fs::write(layout.run().join("ready"), &text).context("writing the ready file")?;
    println!("{text}");
    Ok(())
}

fn make_keys(layout: &Layout) -> Result<()> {
    if !layout.master_key().exists() {
        keys::make_master(&layout.master_key())?;
    }
    if !layout.jwt_private().exists() {
        keys::make_jwt(&layout.jwt_private(), &layout.jwt_public())?;
        say("made the master key and the key for API tokens");
    }
    if !layout.admin_password().exists() {
        keys::make_password(&layout.admin_password())?;
    }
    Ok(())
}

/// The settings: the data folder's file if there is one, variables over it, and what `up` decides itself.
fn settings(layout: &Layout, database_url: &str, server: &str) -> Result<(ControlPlaneConfig, ProxyConfig)> {
    let file = layout.config();
    let mut table = config::load(file.exists().then_some(file.as_path()), std::env::vars())?;
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let decided = [
        (vec!["control_plane", "database_url"], database_url.to_owned()),
        (vec!["control_plane", "master_key_file"], text(layout.master_key())),
        (vec!["control_plane", "auth", "public_key_file"], text(layout.jwt_public())),
        (vec!["proxy", "server"], server.to_owned()),
        (vec!["proxy", "master_key_file"], text(layout.master_key())),
        (vec!["proxy", "snapshot_file"], text(layout.snapshot())),
        (vec!["proxy", "admin_password_file"], text(layout.admin_password())),
        (vec!["proxy", "upgrade_socket"], text(layout.run().join("upgrade.sock"))),
        (vec!["proxy", "spool_dir"], text(layout.spool())),
    ];
    for (path, value) in decided {
        let keys: Vec<String> = path.into_iter().map(str::to_owned).collect();
        config::set(&mut table, &keys, Value::String(value))?;
    }
    both(&table)
}
