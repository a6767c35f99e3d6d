//! Accepts clients on pingora's listeners: a task for each, on one of the loops.

use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use palisade_wire::error::Fields;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::clients::Client;
use crate::loops::Seat;
use crate::session::Session;
use crate::{Shared, follower, startup};

/// Accepts until the shutdown, then lets transactions end.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    let sessions = TaskTracker::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => match stream.into_std() {
                    Ok(stream) => accept(&shared, sessions.token(), stream, address),
                    Err(error) => tracing::warn!(%error, "a client cannot be served"),
                },
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

/// What a client holds as long as it is here, whichever loop serves it.
struct Stay {
    shared: Arc<Shared>,
    /// Who it is, once it is let in.
    info: Option<Arc<Client>>,
    _counted: TaskTrackerToken,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Stay {
    fn drop(&mut self) {
        if let Some(info) = &self.info {
            self.shared.clients.remove(info);
        }
    }
}

/// Gives a client to a loop.
fn accept(shared: &Arc<Shared>, counted: TaskTrackerToken, stream: StdTcpStream, address: SocketAddr) {
    let at = shared.loops.place(shared.config().thread_use);
    let seat = shared.loops.seat(at);
    shared.loops.spawn(at, client(shared.clone(), counted, stream, address, seat));
}

async fn client(
    shared: Arc<Shared>,
    counted: TaskTrackerToken,
    stream: StdTcpStream,
    address: SocketAddr,
    seat: Seat,
) {
    let Ok(mut stream) = TcpStream::from_std(stream) else { return };
    let Ok(slot) = shared.slots.clone().try_acquire_owned() else {
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
    let stay = Stay { info: Some(session.info.clone()), shared, _counted: counted, _slot: slot };
    serve_on(session, stay, seat).await;
}

/// Serves a client that is let in, on this loop until it is to go to another.
fn serve_on(session: Session, stay: Stay, seat: Seat) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let Some((session, to)) = session.run().await else { return };
        drop(seat);
        let shared = stay.shared.clone();
        let seat = shared.loops.seat(to);
        shared.loops.spawn(to, arrive(session, stay, seat));
    })
}

async fn arrive(mut session: Session, stay: Stay, seat: Seat) {
    match session.client.come_here() {
        Ok(()) => serve_on(session, stay, seat).await,
        Err(error) => tracing::warn!(%error, "a client cannot be served on another thread"),
    }
}
