//! Cancel keys of our own: a client can cancel its own session's statement and nothing else.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Most cancels on their way to a server.
const IN_FLIGHT: usize = 64;
/// Longest time for one.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where a session's server connection is.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) server: String,
    pub(crate) pid: i32,
    pub(crate) key: i32,
}

/// All sessions' keys.
pub(crate) struct Cancels {
    keys: Mutex<HashMap<i32, (i32, Target)>>,
    in_flight: Semaphore,
}

impl Default for Cancels {
    fn default() -> Self {
        Self { keys: Mutex::default(), in_flight: Semaphore::new(IN_FLIGHT) }
    }
}

impl Cancels {
    /// Gives a session a key; [`Cancels::remove`] takes it back.
    pub(crate) fn add(&self, target: Target) -> (i32, i32) {
        let mut keys = self.keys.lock();
        loop {
            let pid = rand::random_range(1..i32::MAX);
            if let std::collections::hash_map::Entry::Vacant(free) = keys.entry(pid) {
                let key = rand::random();
                free.insert((key, target));
                return (pid, key);
            }
        }
    }

    /// Takes a session's key back.
    pub(crate) fn remove(&self, pid: i32) {
        self.keys.lock().remove(&pid);
    }

    /// Sends a cancel on where its key is right. PostgreSQL answers nothing either way.
    pub(crate) async fn cancel(&self, pid: i32, key: &[u8]) {
        let found = self.keys.lock().get(&pid).cloned();
        let Some((want, target)) = found else { return };
        if !bool::from(want.to_be_bytes().ct_eq(key)) {
            return;
        }
        let Ok(_permit) = self.in_flight.try_acquire() else { return };
        if tokio::time::timeout(TIMEOUT, send(&target)).await.is_err() {
            tracing::debug!("a cancel took too long");
        }
    }
}

async fn send(target: &Target) {
    let mut packet = Vec::with_capacity(16);
    for word in [16, 80_877_102, target.pid, target.key] {
        packet.extend_from_slice(&word.to_be_bytes());
    }
    let Ok(mut stream) = TcpStream::connect(&target.server).await else { return };
    if stream.write_all(&packet).await.is_ok() {
        // The server closes when the signal has been sent.
        let _ = stream.read(&mut [0; 1]).await;
    }
}
