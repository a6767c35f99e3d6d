//! A cancel on its way to a server.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::upstream::Upstream;

/// Longest time for one.
const TIMEOUT: Duration = Duration::from_secs(5);

/// CancelRequest, <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const CANCEL_REQUEST: i32 = 80_877_102;

/// The packet that asks for a cancel: the key's two parts.
pub(crate) fn request(pid: i32, secret: &[u8]) -> Vec<u8> {
    // A secret has at most 256 bytes.
    let length = i32::try_from(12 + secret.len()).unwrap_or(i32::MAX);
    let mut packet = Vec::with_capacity(12 + secret.len());
    for word in [length, CANCEL_REQUEST, pid] {
        packet.extend_from_slice(&word.to_be_bytes());
    }
    packet.extend_from_slice(secret);
    packet
}

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
    let packet = request(target.pid, &target.key.to_be_bytes());
    let Ok(mut stream) = target.upstream.stream().await else { return };
    if stream.write_all(&packet).await.is_ok() && stream.flush().await.is_ok() {
        // The server closes when the signal has been sent.
        let _ = stream.read(&mut [0; 1]).await;
    }
}
