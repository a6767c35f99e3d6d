//! Accepts clients on pingora's listeners: a task for each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use palisade_wire::error::Fields;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::{Shared, follower, startup};

/// Accepts until the shutdown, then lets transactions end.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    let sessions = TaskTracker::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    sessions.spawn(client(shared.clone(), stream, address));
                }
                Err(error) => {
                    // Out of descriptors, mostly: wait for some to come back.
                    tracing::warn!(%error, "a client cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            () = crate::announced(&mut shutdown) => break,
        }
    }
    drop(listener);
    sessions.close();
    drain(&shared, &sessions).await;
}

/// Ends each session when its transaction is over, and those that take too long at the limit.
async fn drain(shared: &Shared, sessions: &TaskTracker) {
    if shared.upgrading.load(Ordering::Acquire) {
        // New clients go to the new process; those that are here may stay for a while.
        let limit = Duration::from_millis(shared.config().upgrade_timeout_ms);
        let _ = tokio::time::timeout(limit, sessions.wait()).await;
    }
    let clients = shared.clients.all();
    clients.iter().for_each(|client| client.drain());
    let limit = Duration::from_millis(shared.config().shutdown_timeout_ms);
    if tokio::time::timeout(limit, sessions.wait()).await.is_ok() {
        return;
    }
    tracing::warn!("transactions were cut off at the shutdown");
    for client in shared.clients.all() {
        client.kill("57P01", "terminating connection due to administrator command");
    }
    // What does not end now ends with the process.
    let _ = tokio::time::timeout(Duration::from_secs(2), sessions.wait()).await;
}

async fn client(shared: Arc<Shared>, mut stream: TcpStream, address: SocketAddr) {
    let Ok(_permit) = shared.slots.clone().try_acquire_owned() else {
        let error = Fields::new("FATAL", "53300", "sorry, too many clients already")
            .with(b'H', Some("The proxy's limit is max_client_connections."));
        // The client may be gone.
        let _ = stream.write_all(&error.message(b'E')).await;
        return;
    };
    // Latency matters more than packets; a socket that refuses this still works.
    let _ = stream.set_nodelay(true);
    follower::asked(&shared).await;
    let limit = Duration::from_millis(shared.config().authentication_timeout_ms);
    let entered = tokio::time::timeout(limit, Box::pin(startup::enter(&shared, stream, address))).await;
    let Ok(Some(session)) = entered else { return };
    let info = session.info.clone();
    session.run().await;
    shared.clients.remove(&info);
}
