//! Accepts clients: a task for each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use palisade_wire::error::Fields;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Shared, session, startup};

/// How long sessions may take to end at a shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// Accepts until the shutdown, then waits for the sessions to end.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    let mut sessions = JoinSet::new();
    let for_sessions = shutdown.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let task = client(shared.clone(), stream, address, for_sessions.clone());
                    sessions.spawn(task);
                }
                Err(error) => {
                    // Out of descriptors, mostly: wait for some to come back.
                    tracing::warn!(%error, "a client cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
            () = crate::announced(&mut shutdown) => break,
        }
    }
    drop(listener);
    let drained = async { while sessions.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("sessions were cut off at the shutdown");
    }
}

async fn client(
    shared: Arc<Shared>,
    mut stream: TcpStream,
    address: SocketAddr,
    shutdown: watch::Receiver<bool>,
) {
    let Ok(_permit) = shared.clients.clone().try_acquire_owned() else {
        let error = Fields::new("FATAL", "53300", "sorry, too many clients already")
            .with(b'H', Some("The proxy's limit is max_client_connections."));
        // The client may be gone.
        let _ = stream.write_all(&error.message(b'E')).await;
        return;
    };
    // Latency matters more than packets; a socket that refuses this still works.
    let _ = stream.set_nodelay(true);
    let limit = Duration::from_millis(shared.config.authentication_timeout_ms);
    let entered = tokio::time::timeout(limit, startup::enter(&shared, &mut stream, address)).await;
    let Ok(Some(entered)) = entered else { return };
    let pid = entered.pid;
    Box::pin(session::run(&shared, stream, entered, shutdown)).await;
    shared.cancels.remove(pid);
}
