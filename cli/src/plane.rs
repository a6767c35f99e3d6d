//! The planes as tasks, ended by the signals that end a service.

use anyhow::{Context, Result};
use palisade_catalog::secrets::MasterKey;
use palisade_control_plane::ControlPlane;
use palisade_control_plane::config::ControlPlaneConfig;
use palisade_proxy::config::ProxyConfig;
use palisade_proxy::{Proxy, Reread};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Which planes run in this process.
pub(crate) struct Planes {
    pub(crate) control: Option<ControlPlaneConfig>,
    pub(crate) proxy: Option<ProxyConfig>,
    /// Reads the proxy's settings again, at SIGHUP and RELOAD.
    pub(crate) reread: Reread,
    /// Whether the proxy takes the listeners over from one that runs.
    pub(crate) upgrade: bool,
}

/// Reads the master key's file.
fn master_key(file: &std::path::Path) -> Result<MasterKey> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("reading the master key {}", file.display()))?;
    MasterKey::from_hex(&text).with_context(|| format!("the file {}", file.display()))
}

/// Starts the planes, says that they are ready, and serves until SIGINT or SIGTERM.
pub(crate) fn serve(planes: Planes, ready: impl FnOnce() -> Result<()>) -> Result<()> {
    // Sessions read SQL on these threads.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(palisade_proxy::STACK_BYTES)
        .build()
        .context("starting the runtime")?;
    let result = runtime.block_on(run(planes, ready));
    // Whatever still runs has had its time to drain.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

async fn run(planes: Planes, ready: impl FnOnce() -> Result<()>) -> Result<()> {
    let (stop, stopped) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let control = match planes.control {
        Some(config) => {
            let master = master_key(&config.master_key_file)?;
            let plane = ControlPlane::start(config, master).await?;
            Some(tokio::spawn(plane.run(stopped.clone())))
        }
        None => None,
    };
    let proxy = match planes.proxy {
        Some(config) => {
            let master = master_key(&config.master_key_file)?;
            let proxy = Proxy::start(config, planes.reread, master, planes.upgrade).await?;
            Some(tokio::spawn(proxy.run(stopped)))
        }
        None => None,
    };
    let mut proxy = proxy;
    let announced = tokio::task::block_in_place(ready);
    if announced.is_ok() {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            // A new process has taken over, and every client has left.
            () = ended(&mut proxy) => {}
        }
    }
    // A receiver that is gone belongs to a task that has ended already.
    let _ = stop.send(true);
    if let Some(proxy) = proxy.filter(|proxy| !proxy.is_finished()) {
        proxy.await.context("the proxy's task failed")?;
    }
    if let Some(control) = control {
        control.await.context("the control plane's task failed")?.context("serving the API")?;
    }
    announced
}

/// Resolves when the proxy has ended by itself.
async fn ended(proxy: &mut Option<tokio::task::JoinHandle<()>>) {
    match proxy {
        Some(proxy) => drop(proxy.await),
        None => std::future::pending().await,
    }
}
