//! Are the ports free. Said before anything starts, in one sentence with what to do.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Result, bail};

/// Refuses to start where one of the addresses is taken.
pub(crate) fn check(wanted: &[(&str, SocketAddr, &str)]) -> Result<()> {
    for (what, address, key) in wanted {
        if let Err(error) = TcpListener::bind(address) {
            bail!(
                "{what} cannot listen on {address} ({error}); stop what uses it, or set {key} to another address"
            );
        }
    }
    Ok(())
}

/// A free port on loopback, preferably this one.
pub(crate) fn free(preferred: u16) -> Result<u16> {
    for port in [preferred, 0] {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return Ok(listener.local_addr()?.port());
        }
    }
    bail!("no port is free on 127.0.0.1")
}
