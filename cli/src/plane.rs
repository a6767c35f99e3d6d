//! The control plane as a task, ended by the signals that end a service.

use anyhow::{Context, Result};
use palisade_catalog::secrets::MasterKey;
use palisade_control_plane::ControlPlane;
use palisade_control_plane::config::ControlPlaneConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Reads the master key's file.
pub(crate) fn master_key(file: &std::path::Path) -> Result<MasterKey> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading the master key {}", file.display()))?;
    MasterKey::from_hex(&text).with_context(|| format!("the file {}", file.display()))
}

/// Starts the control plane, says that it is ready, and serves until SIGINT or SIGTERM.
pub(crate) async fn serve(config: ControlPlaneConfig, ready: impl FnOnce() -> Result<()>) -> Result<()> {
    let master = master_key(&config.master_key_file)?;
    let (stop, stopped) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let plane = ControlPlane::start(config, master).await?;
    let serving = tokio::spawn(plane.run(stopped));
    let announced = ready();
    if announced.is_ok() {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    // The receiver lives in the serving task; if it is gone, so is what should be stopped.
    let _ = stop.send(true);
    serving.await.context("the control plane's task failed")?.context("serving the API")?;
    announced
}
