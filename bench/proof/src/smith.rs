//! SQLsmith as a tenant: it makes statements from what its catalogs show. A relay before the proxy looks at every byte that
//! comes back, and counts what is asked.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;

use crate::oracle::Finding;
use crate::wire::Address;

/// What of the last answers is looked at once more with the next bytes, so that nothing is missed where they were cut.
const OVERLAP_BYTES: usize = 256;
/// So much of what was asked last is kept, to show it where something is found.
const SAID_BYTES: usize = 64 << 10;
/// How often it is looked whether the time is over.
const LOOK: Duration = Duration::from_millis(100);

/// Who is told of what passes.
pub(crate) trait Watch: Sync {
    /// Whether the time is over.
    fn over(&self) -> bool;
    /// What belongs to others in bytes that came back.
    fn look(&self, answer: &[u8]) -> Vec<Finding>;
    /// A statement was asked.
    fn asked(&self);
    /// Something of others came back; `said` is what was asked lately.
    fn found(&self, found: &[Finding], answer: &[u8], said: &[u8]);
}

/// Runs SQLsmith until the time is over, again and again with another seed, through a relay.
pub(crate) fn attack(program: &Path, to: &Address, seed: u64, watch: &dyn Watch) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("a relay for SQLsmith")?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let relaying = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((client, _)) => {
                        scope.spawn(|| relay(client, &to.host, watch));
                    }
                    Err(_) => std::thread::sleep(LOOK),
                }
            }
        });
        let ran = smith(program, to, port, seed, watch);
        over.store(true, Ordering::Relaxed);
        // A relay that panics is a fault of ours.
        relaying.join().map_err(|_| anyhow::anyhow!("the relay ended in a panic"))?;
        ran
    })
}

/// SQLsmith, started anew whenever it has ended.
fn smith(program: &Path, to: &Address, port: u16, seed: u64, watch: &dyn Watch) -> Result<()> {
    let target = format!(
        "host=127.0.0.1 port={port} dbname={} user={} password={} sslmode=disable gssencmode=disable",
        to.database, to.user, to.password
    );
    let mut number = 0;
    while !watch.over() {
        let child = Command::new(program)
            .args([format!("--target={target}"), format!("--seed={}", (seed + number) % 0x7fff_ffff)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut child = Ended(child);
        while !watch.over() && child.0.try_wait()?.is_none() {
            std::thread::sleep(LOOK);
        }
        number += 1;
    }
    Ok(())
}

/// A process that is ended when it is no longer wanted.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Where it has ended by itself there is nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One connection, both ways, until either side ends it.
fn relay(client: TcpStream, host: &str, watch: &dyn Watch) {
    let Ok(server) = TcpStream::connect(host) else { return };
    let said = Arc::new(Mutex::new(Vec::new()));
    let (Ok(mut from_client), Ok(mut to_client)) = (client.try_clone(), client.try_clone()) else { return };
    let (Ok(mut from_server), Ok(mut to_server)) = (server.try_clone(), server.try_clone()) else { return };
    // The socket may have taken the listener's way of not waiting.
    if client.set_nonblocking(false).is_err() {
        return;
    }
    std::thread::scope(|scope| {
        let words = said.clone();
        scope.spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            let mut count = Count::default();
            while let Ok(read @ 1..) = from_client.read(&mut bytes) {
                for _ in 0..count.queries(&bytes[..read]) {
                    watch.asked();
                }
                {
                    let mut said = words.lock();
                    said.extend_from_slice(&bytes[..read]);
                    let more = said.len().saturating_sub(SAID_BYTES);
                    said.drain(..more);
                }
                if to_server.write_all(&bytes[..read]).is_err() {
                    break;
                }
            }
            // Whichever side is gone already.
            let _ = to_server.shutdown(Shutdown::Both);
        });
        let (mut bytes, mut seen) = (vec![0; 64 << 10], Vec::new());
        while let Ok(read @ 1..) = from_server.read(&mut bytes) {
            seen.extend_from_slice(&bytes[..read]);
            let found = watch.look(&seen);
            if !found.is_empty() {
                watch.found(&found, &seen, &said.lock());
            }
            // What was told once is not told again with the next bytes.
            let keep = if found.is_empty() { OVERLAP_BYTES } else { 0 };
            seen.drain(..seen.len().saturating_sub(keep));
            if to_client.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
        let _ = from_server.shutdown(Shutdown::Both);
    });
}

/// Counts what a client asks, from its bytes: Query, and Parse of the extended protocol.
#[derive(Default)]
struct Count {
    /// Bytes of the message that has begun.
    left: usize,
    /// What has come of the next message's head; the startup message has no tag.
    head: Vec<u8>,
    started: bool,
}

impl Count {
    fn queries(&mut self, mut bytes: &[u8]) -> usize {
        let mut found = 0;
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let length = if self.started { 5 } else { 4 };
            let taken = (length - self.head.len()).min(bytes.len());
            if self.left > 0 || taken == 0 {
                continue;
            }
            self.head.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.head.len() == length {
                let number = [0, 1, 2, 3].map(|at| self.head[length - 4 + at]);
                self.left = (u32::from_be_bytes(number) as usize).saturating_sub(4);
                found += usize::from(self.started && matches!(self.head[0], b'Q' | b'P'));
                self.started = true;
                self.head.clear();
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn statements_are_counted_wherever_the_bytes_are_cut() {
        let mut whole = vec![0, 0, 0, 9, 0, 3, 0, 0, 0];
        for tag in [b'p', b'Q', b'P', b'S', b'Q'] {
            whole.push(tag);
            whole.extend([0, 0, 0, 7, 1, 2, 3]);
        }
        for size in 1..whole.len() {
            let mut count = Count::default();
            let found: usize = whole.chunks(size).map(|piece| count.queries(piece)).sum();
            assert_eq!(found, 3, "{size}");
        }
    }
}
