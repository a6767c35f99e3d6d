//! The clients that are let in: their cancel keys, their state for the console, and how each is ended.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Context;

use futures::task::AtomicWaker;
use palisade_catalog::snapshot::{Access, Snapshot};
use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;
use tokio::sync::{Notify, Semaphore};

use crate::cancel::{self, Target};
use crate::clock::coarse_ms;
use crate::peers;
use crate::pins::Pins;
use crate::timeouts::Timeouts;

/// Most cancels on their way to servers.
const CANCELS_IN_FLIGHT: usize = 64;

/// Bytes of a long cancel key, as PostgreSQL 18 makes them.
const LONG_KEY_BYTES: usize = 32;

/// What a client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Holds no server connection.
    Idle,
    /// Waits for a server connection.
    Waiting,
    /// Has a statement that is not answered.
    Active,
    /// Is silent inside a transaction.
    Transaction,
}

/// A client that is let in.
pub(crate) struct Client {
    pid: i32,
    key: Box<[u8]>,
    pub(crate) tenant_id: String,
    pub(crate) tenant: String,
    pub(crate) login: String,
    pub(crate) role: String,
    pub(crate) generation: u32,
    verifier: String,
    pub(crate) address: SocketAddr,
    pub(crate) session: String,
    pub(crate) encrypted: bool,
    pub(crate) connected: OffsetDateTime,
    /// The state in the low two bits, and since when in milliseconds of the process above them.
    state: AtomicU64,
    pub(crate) timeouts: Mutex<Timeouts>,
    /// Its statement was cancelled by the proxy's own limit.
    timed_out: AtomicBool,
    pub(crate) pins: Mutex<Pins>,
    pub(crate) transactions: AtomicU64,
    link: Mutex<Link>,
    cancelled: Notify,
    killed: AtomicBool,
    /// The session's task: it looks whether it is killed each time that it runs.
    session_task: AtomicWaker,
    /// The end waits for the end of the transaction.
    gentle: AtomicBool,
    reason: OnceLock<(&'static str, &'static str)>,
}

/// The server connection that a client holds.
struct Link<T = Target> {
    target: Option<T>,
    /// Cancels on their way to it.
    cancels: usize,
    /// It does the proxy's own work, which no cancel may hit.
    busy: bool,
    /// A cancel that came meanwhile.
    waits: bool,
}

impl<T> Default for Link<T> {
    fn default() -> Self {
        Self { target: None, cancels: 0, busy: false, waits: false }
    }
}

impl<T: Clone> Link<T> {
    /// Where a cancel goes now, if anywhere. It is on its way from now on.
    fn cancel(&mut self) -> Option<T> {
        let target = self.target.clone()?;
        if self.busy {
            self.waits = true;
            return None;
        }
        self.cancels += 1;
        Some(target)
    }

    /// The proxy's own work is over: where the cancel goes that came meanwhile.
    fn own_work_is_over(&mut self) -> Option<T> {
        self.busy = false;
        std::mem::take(&mut self.waits).then(|| self.cancel())?
    }

    /// From now on a cancel goes nowhere; says whether none is on its way.
    fn release(&mut self) -> bool {
        *self = Self { cancels: self.cancels, ..Self::default() };
        self.cancels == 0
    }
}

/// What a client is known by when it is let in.
pub(crate) struct Identity {
    pub(crate) tenant_id: String,
    pub(crate) tenant: String,
    pub(crate) login: String,
    pub(crate) role: String,
    pub(crate) generation: u32,
    /// A new secret ends the sessions of the old one.
    pub(crate) verifier: String,
    pub(crate) address: SocketAddr,
    pub(crate) encrypted: bool,
    /// How long it may be silent, or busy.
    pub(crate) timeouts: Timeouts,
}

impl Client {
    /// The key that the client is given.
    pub(crate) fn backend_key(&self) -> (i32, &[u8]) {
        (self.pid, &self.key)
    }

    /// The id in `SHOW CLIENTS`.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn state(&self) -> State {
        self.state_for().0
    }

    /// The state, and how long it has lasted in milliseconds.
    pub(crate) fn state_for(&self) -> (State, u64) {
        let word = self.state.load(Ordering::Relaxed);
        let state = match word & 3 {
            0 => State::Idle,
            1 => State::Waiting,
            2 => State::Active,
            _ => State::Transaction,
        };
        (state, coarse_ms().saturating_sub(word >> 2))
    }

    /// The state begins, or begins anew.
    pub(crate) fn begin(&self, state: State) {
        self.state.store(coarse_ms() << 2 | state as u64, Ordering::Relaxed);
    }

    /// The state goes on, or begins.
    pub(crate) fn set_state(&self, state: State) {
        if self.state.load(Ordering::Relaxed) & 3 != state as u64 {
            self.begin(state);
        }
    }

    /// Whether its statement was cancelled by the proxy's own limit; asked once.
    pub(crate) fn was_timed_out(&self) -> bool {
        self.timed_out.swap(false, Ordering::Relaxed)
    }

    /// From now on a cancel goes to this server connection.
    pub(crate) fn link(&self, target: Target) {
        self.link.lock().target = Some(target);
    }

    /// From now on a cancel goes nowhere. Waits for those that are on their way: none may hit the next client.
    pub(crate) async fn unlink(&self) {
        while !self.try_unlink() {
            let ended = self.cancelled.notified();
            // One that has ended since is not waited for.
            if self.try_unlink() {
                return;
            }
            ended.await;
        }
    }

    /// The same, where none is on its way; says whether that is so.
    pub(crate) fn try_unlink(&self) -> bool {
        self.link.lock().release()
    }

    /// The server connection does the proxy's own work from now on: cancels wait.
    pub(crate) fn begin_own_work(&self) {
        self.link.lock().busy = true;
    }

    /// The server connection's process, for `SHOW CLIENTS`.
    pub(crate) fn linked(&self) -> Option<i32> {
        self.link.lock().target.as_ref().map(|target| target.pid)
    }

    /// Process id, age and encryption of the server connection.
    pub(crate) fn linked_server(&self) -> Option<(i32, std::time::Duration, bool)> {
        let link = self.link.lock();
        link.target.as_ref().map(|target| (target.pid, target.opened.elapsed(), target.encrypted))
    }

    /// Ends the client's session at once, with these words. The first words stay.
    pub(crate) fn kill(&self, sqlstate: &'static str, text: &'static str) {
        let _ = self.reason.set((sqlstate, text));
        self.gentle.store(false, Ordering::Release);
        self.end();
    }

    /// Ends the client's session when its transaction is over.
    pub(crate) fn drain(&self) {
        if !self.killed.load(Ordering::Acquire) {
            self.gentle.store(true, Ordering::Release);
            self.end();
        }
    }

    fn end(&self) {
        self.killed.store(true, Ordering::Release);
        self.session_task.wake();
    }

    /// Whether a killed session ends now.
    pub(crate) fn ends(&self, idle: bool) -> bool {
        idle || !self.gentle.load(Ordering::Acquire)
    }

    /// Whether the session is to end. The session's task alone asks, and is woken when the answer changes.
    pub(crate) fn poll_killed(&self, cx: &mut Context<'_>) -> bool {
        if self.killed.load(Ordering::Acquire) {
            return true;
        }
        self.session_task.register(cx.waker());
        self.killed.load(Ordering::Acquire)
    }

    /// Why the session ends.
    pub(crate) fn reason(&self) -> (&'static str, &'static str) {
        *self.reason.get().unwrap_or(&("57P01", "terminating connection due to administrator command"))
    }
}

/// All clients.
pub(crate) struct Clients {
    all: Mutex<HashMap<i32, Arc<Client>>>,
    per_tenant: Mutex<HashMap<String, usize>>,
    in_flight: Semaphore,
    /// This proxy's number among its peers.
    peer: u8,
}

impl Clients {
    /// Nobody yet. `peer`: this proxy's number among its peers.
    pub(crate) fn new(peer: u8) -> Self {
        Self {
            all: Mutex::default(),
            per_tenant: Mutex::default(),
            in_flight: Semaphore::new(CANCELS_IN_FLIGHT),
            peer,
        }
    }

    /// Lets a client in, unless its tenant has `limit` already. [`Clients::remove`] takes it out.
    /// `long_key`: its protocol has long cancel keys.
    pub(crate) fn add(&self, identity: Identity, limit: usize, long_key: bool) -> Option<Arc<Client>> {
        {
            let mut counts = self.per_tenant.lock();
            let count = counts.entry(identity.tenant_id.clone()).or_default();
            if *count >= limit {
                return None;
            }
            *count += 1;
        }
        let Identity { tenant_id, tenant, login, role, generation, verifier, address, encrypted, timeouts } =
            identity;
        let mut all = self.all.lock();
        let pid = loop {
            let pid = peers::key(self.peer, rand::random());
            if pid != 0 && !all.contains_key(&pid) {
                break pid;
            }
        };
        let client = Arc::new(Client {
            pid,
            key: if long_key {
                Box::new(rand::random::<[u8; LONG_KEY_BYTES]>())
            } else {
                Box::new(rand::random::<[u8; 4]>())
            },
            tenant_id,
            tenant,
            login,
            role,
            generation,
            verifier,
            address,
            session: uuid::Uuid::now_v7().to_string(),
            encrypted,
            connected: OffsetDateTime::now_utc(),
            state: AtomicU64::new(coarse_ms() << 2),
            timeouts: Mutex::new(timeouts),
            timed_out: AtomicBool::new(false),
            pins: Mutex::default(),
            transactions: AtomicU64::new(0),
            link: Mutex::default(),
            cancelled: Notify::new(),
            killed: AtomicBool::new(false),
            session_task: AtomicWaker::new(),
            gentle: AtomicBool::new(false),
            reason: OnceLock::new(),
        });
        all.insert(pid, client.clone());
        Some(client)
    }

    /// A place among the cancels on their way.
    pub(crate) fn place(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.in_flight.try_acquire().ok()
    }

    /// Takes a client out.
    pub(crate) fn remove(&self, client: &Client) {
        self.all.lock().remove(&client.pid);
        let mut counts = self.per_tenant.lock();
        if let Some(count) = counts.get_mut(&client.tenant_id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&client.tenant_id);
            }
        }
    }

    /// Everybody, at this instant.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        self.all.lock().values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.lock().len()
    }

    /// Ends the sessions of tenants and logins that are open no longer.
    pub(crate) fn follow(&self, snapshot: &Snapshot) {
        for client in self.all() {
            let open = snapshot.login(&client.tenant, &client.login).is_some_and(|(tenant, login)| {
                tenant.id.as_str() == client.tenant_id
                    && tenant.access != Access::Closed
                    && login.enabled
                    && login.server_role == client.role
                    && login.generation == client.generation
                    && (login.verifier == client.verifier
                        || login.previous.as_ref().is_some_and(|p| p.verifier == client.verifier))
            });
            if !open {
                client.kill("57P01", "terminating connection due to administrator command");
            }
        }
    }

    /// Sends a cancel on where its key is right. PostgreSQL answers nothing either way.
    pub(crate) async fn cancel(&self, pid: i32, key: &[u8]) {
        let found = self.all.lock().get(&pid).cloned();
        let Some(client) = found else { return };
        if bool::from(client.key.ct_eq(key)) {
            self.send(&client).await;
        }
    }

    /// Cancels a client's statement that has taken too long.
    pub(crate) async fn time_out(&self, client: &Arc<Client>) {
        client.timed_out.store(true, Ordering::Relaxed);
        // It is looked at again after another while.
        client.begin(State::Active);
        self.send(client).await;
    }

    async fn send(&self, client: &Client) {
        let Some(_permit) = self.place() else { return };
        let Some(target) = client.link.lock().cancel() else { return };
        let _in_flight = InFlight(client);
        cancel::send(&target).await;
    }
}

/// The proxy's own work on a client's server connection is over: sends the cancel that came meanwhile, beside the session.
pub(crate) fn end_own_work(shared: &Arc<crate::Shared>, client: &Arc<Client>) {
    let Some(target) = client.link.lock().own_work_is_over() else { return };
    let (shared, client) = (shared.clone(), client.clone());
    tokio::spawn(async move {
        let _in_flight = InFlight(&client);
        let Some(_permit) = shared.clients.place() else { return };
        cancel::send(&target).await;
    });
}

/// A cancel on its way; ends however its task ends.
struct InFlight<'c>(&'c Client);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.link.lock().cancels -= 1;
        self.0.cancelled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancels_wait_for_the_proxys_own_work() {
        let mut link: Link<u8> = Link::default();
        assert_eq!(link.cancel(), None, "no connection is held");
        link.target = Some(7);
        assert_eq!((link.cancel(), link.cancels), (Some(7), 1));
        link.cancels = 0;
        assert_eq!(link.own_work_is_over(), None, "none came");
        link.busy = true;
        assert_eq!((link.cancel(), link.cancel(), link.cancels), (None, None, 0));
        assert_eq!((link.own_work_is_over(), link.cancels), (Some(7), 1), "two are one");
        assert_eq!((link.own_work_is_over(), link.cancels), (None, 1), "it has gone");
        assert!(!link.release(), "it is still on its way");
        assert_eq!(link.cancel(), None);
        link.cancels = 0;
        assert!(link.release());
        // What came for one connection does not go to the next.
        link.target = Some(8);
        link.busy = true;
        assert_eq!(link.cancel(), None);
        assert!(link.release());
        link.target = Some(9);
        assert_eq!((link.own_work_is_over(), link.cancel()), (None, Some(9)));
    }
}
