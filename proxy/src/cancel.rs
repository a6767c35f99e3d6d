//! A cancel on its way to a server.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::upstream::Upstream;

/// Longest time for one.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A server connection's own key.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) upstream: std::sync::Arc<Upstream>,
    pub(crate) pid: i32,
    pub(crate) key: i32,
    /// When the connection was opened.
    pub(crate) opened: std::time::Instant,
    /// Whether it is encrypted.
    pub(crate) encrypted: bool,
}

/// Sends a cancel and waits until the server has done with it.
pub(crate) async fn send(target: &Target) {
    if tokio::time::timeout(TIMEOUT, exchange(target)).await.is_err() {
        tracing::debug!("a cancel took too long");
    }
}

async fn exchange(target: &Target) {
    let mut packet = Vec::with_capacity(16);
    for word in [16, 80_877_102, target.pid, target.key] {
        packet.extend_from_slice(&word.to_be_bytes());
    }
    let Ok(mut stream) = target.upstream.stream().await else { return };
    if stream.write_all(&packet).await.is_ok() && stream.flush().await.is_ok() {
        // The server closes when the signal has been sent.
        let _ = stream.read(&mut [0; 1]).await;
    }
}
