//! Several proxies behind one address: a cancel may reach any of them. A key's first part says whose it is, and a
//! proxy hands a peer's cancel on, once.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Shared, cancel};

/// Bits of a key's first part that are random; above them stands the proxy's number, and the sign is never set.
const RANDOM_BITS: u32 = 24;
/// Longest time for a peer to take a cancel.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest secret part of a key, in bytes, as in PostgreSQL 18.
const SECRET_BYTES: usize = 256;

/// The first part of a key of the proxy with this number (0 to 127).
pub(crate) fn key(peer: u8, random: u32) -> i32 {
    let random = random >> (u32::BITS - RANDOM_BITS);
    i32::try_from(u32::from(peer) << RANDOM_BITS | random).unwrap_or(i32::MAX)
}

/// The number of the proxy that gave a key out.
fn owner(pid: i32) -> Option<u8> {
    u8::try_from(pid >> RANDOM_BITS).ok()
}

/// A cancel that a client asks for: of a statement here, or at a peer.
pub(crate) async fn end_statement(shared: &Shared, pid: i32, secret: &[u8]) {
    let Some(owner) = owner(pid) else { return };
    if owner == shared.config().peer_id {
        return shared.clients.cancel(pid, secret).await;
    }
    let config = shared.config();
    let Some(address) = config.peers.iter().find(|peer| peer.id == owner).map(|peer| peer.address.clone())
    else {
        return;
    };
    drop(config);
    let Some(_permit) = shared.clients.place() else { return };
    if secret.len() > SECRET_BYTES {
        return;
    }
    let sent = tokio::time::timeout(TIMEOUT, hand_on(&address, pid, secret)).await;
    if !matches!(sent, Ok(Ok(()))) {
        tracing::warn!(peer = owner, "a cancel could not be handed on");
    }
}

async fn hand_on(address: &str, pid: i32, secret: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&cancel::request(pid, secret)).await?;
    // The peer closes when it has done with it, as PostgreSQL does.
    stream.read(&mut [0; 1]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_whose_it_is() {
        for peer in [0, 1, 77, 127] {
            for random in [0, 1, u32::MAX, 0x1234_5678] {
                let pid = key(peer, random);
                assert!(pid >= 0);
                assert_eq!(owner(pid), Some(peer));
            }
        }
        assert_eq!(owner(-1), None);
    }
}
