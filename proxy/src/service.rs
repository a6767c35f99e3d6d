//! The proxy as a service of pingora's server: it owns signals, the listeners and their hand-over to a new process.
//!
//! Clients are accepted with tasks of ours on the caller's runtime, whose threads have the stack that reading SQL
//! needs.

use std::net::TcpListener as StdListener;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::server::configuration::{Opt, ServerConf};
use pingora_core::server::{ListenFds, RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora_core::services::Service;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use crate::{Shared, StartError, announced, listener};

/// The server at work.
pub(crate) struct Running {
    stop: watch::Sender<bool>,
    drained: oneshot::Receiver<()>,
}

impl Running {
    /// Serves until the shutdown is announced or a new process has taken over, and every session has ended.
    pub(crate) async fn serve(mut self, mut shutdown: watch::Receiver<bool>) {
        tokio::select! {
            () = announced(&mut shutdown) => {
                self.stop.send_replace(true);
                let _ = (&mut self.drained).await;
            }
            // Its sender lives as long as the service.
            _ = &mut self.drained => {}
        }
    }
}

/// Starts pingora's server on a thread of its own and waits until clients are accepted.
pub(crate) async fn start(shared: Arc<Shared>, upgrade: bool) -> Result<Running, StartError> {
    let (stop, stopped) = watch::channel(false);
    let (ready, listening) = oneshot::channel();
    let (drained, done) = oneshot::channel();
    let once = Mutex::new(Some((ready, drained)));
    let service = Clients { shared: shared.clone(), runtime: Handle::current(), once };
    let conf = ServerConf {
        upgrade_sock: shared.config().upgrade_socket.to_string_lossy().into_owned(),
        // Sessions are drained by us; pingora's own runtime has nothing left to wait for.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let signals = Signals { stopped, shared };
    let run = move || {
        let mut server = Server::new_with_opt_and_conf(Opt { upgrade, ..Opt::default() }, conf);
        server.bootstrap();
        server.add_service(service);
        server.run(RunArgs { shutdown_signal: Box::new(signals) });
    };
    std::thread::Builder::new().name("pingora".into()).spawn(run).map_err(StartError::Thread)?;
    let listen = |e| StartError::Listen(std::net::SocketAddr::from(([0, 0, 0, 0], 0)), e, "listen");
    match listening.await {
        Ok(Ok(())) => Ok(Running { stop, drained: done }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(listen(std::io::Error::other("the server's thread has ended"))),
    }
}

/// What ends the server: the caller's announcement, or SIGQUIT for an upgrade.
struct Signals {
    stopped: watch::Receiver<bool>,
    shared: Arc<Shared>,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let mut stopped = self.stopped.clone();
        let Ok(mut quit) = signal(SignalKind::quit()) else {
            announced(&mut stopped).await;
            return ShutdownSignal::GracefulTerminate;
        };
        tokio::select! {
            () = announced(&mut stopped) => ShutdownSignal::GracefulTerminate,
            _ = quit.recv() => {
                tracing::info!("handing the listeners over to a new process");
                self.shared.upgrading.store(true, Ordering::Release);
                ShutdownSignal::GracefulUpgrade
            }
        }
    }
}

type Once = (oneshot::Sender<Result<(), StartError>>, oneshot::Sender<()>);

/// The service that accepts clients.
struct Clients {
    shared: Arc<Shared>,
    runtime: Handle,
    once: Mutex<Option<Once>>,
}

#[async_trait]
impl Service for Clients {
    async fn start_service(&mut self, fds: Option<ListenFds>, shutdown: ShutdownWatch, _listeners: usize) {
        // Called once for each service.
        let Some((ready, drained)) = self.once.lock().take() else { return };
        let address = self.shared.config().listen;
        let listener = match listen(&self.shared, fds) {
            Ok(listener) => listener,
            Err(error) => {
                let _ = ready.send(Err(StartError::Listen(address, error, "listen")));
                return;
            }
        };
        let shared = self.shared.clone();
        let serving = self.runtime.spawn(async move {
            match TcpListener::from_std(listener) {
                Ok(listener) => {
                    let _ = ready.send(Ok(()));
                    listener::serve(listener, shared, shutdown).await;
                }
                Err(error) => drop(ready.send(Err(StartError::Listen(address, error, "listen")))),
            }
            let _ = drained.send(());
        });
        let _ = serving.await;
    }

    fn name(&self) -> &str {
        "clients"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        Some(vec![self.shared.config().listen.to_string()])
    }
}

/// The listener of the process that is replaced, or a new one; either is left for the next process to take.
fn listen(shared: &Shared, fds: Option<ListenFds>) -> std::io::Result<StdListener> {
    let address = shared.config().listen;
    let mut fds = fds.as_ref().map(|fds| fds.lock());
    let taken = fds.as_ref().and_then(|fds| fds.get(&address.to_string()).copied());
    let listener = match taken {
        #[expect(unsafe_code, reason = "pingora hands a listener over as a number")]
        // SAFETY: pingora received this descriptor over its socket for this address, nobody else owns it, and it is
        // taken once: the service is started once.
        Some(fd) => unsafe { StdListener::from_raw_fd(fd) },
        None => {
            let domain = socket2::Domain::for_address(address);
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            socket.into()
        }
    };
    listener.set_nonblocking(true)?;
    if let Some(fds) = &mut fds
        && taken.is_none()
    {
        fds.add(address.to_string(), listener.as_raw_fd());
    }
    Ok(listener)
}

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 4_096;
