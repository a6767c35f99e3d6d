//! The audit spool: events are durable here before a client has its answer, and are shipped to the catalog at least
//! once.
//!
//! Each process has a numbered folder of its own in the spool, held by a lock: at an upgrade two processes write and
//! ship side by side. Folders that nobody holds were left by a process that is gone; whoever starts next ships them.

mod ship;
mod spool;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use palisade_catalog::audit::{Class, Event};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

pub(crate) use ship::ship;
use spool::{State, Writer, record};

/// Most events that wait for the disk.
const QUEUE_EVENTS: usize = 4_096;
/// Most events of one group commit, and of one shipment.
const BATCH_EVENTS: usize = 512;
/// How often the spool is shipped.
const SHIP_INTERVAL: Duration = Duration::from_millis(300);
/// Most processes that share a spool.
const MOST_PROCESSES: u32 = 64;
/// The least that `spool_max_bytes` may be, in bytes: beyond three quarters of it an event is only noted when it is on the
/// disk, and a quarter holds a full queue of them.
pub(crate) const LEAST_SPOOL_BYTES: u64 = 64 << 20;

/// An event could not be made durable: what it is about must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotDurable {
    /// `spool_max_bytes` is reached, or the disk is full.
    #[error("the audit trail is full")]
    Full,
    /// The disk failed, or the writer has ended.
    #[error("the audit trail cannot be written")]
    Broken,
}

impl NotDurable {
    /// The SQLSTATE that a client gets: `disk_full` or `io_error`.
    pub(crate) fn sqlstate(self) -> &'static str {
        match self {
            Self::Full => "53100",
            Self::Broken => "58030",
        }
    }
}

impl From<&std::io::Error> for NotDurable {
    fn from(error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        if matches!(error.kind(), StorageFull | QuotaExceeded) { Self::Full } else { Self::Broken }
    }
}

type Entry = (Event, oneshot::Sender<Result<(), NotDurable>>);

/// The way to the spool.
pub(crate) struct Audit {
    queue: mpsc::Sender<Entry>,
    folder: Folder,
    state: Arc<State>,
    /// Most bytes of this process's segments.
    most: u64,
    /// Left by processes that are gone.
    orphans: Mutex<Vec<Folder>>,
}

/// A folder of the spool that this process holds.
struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes a folder; `None` where another process holds it.
    fn take(path: PathBuf) -> std::io::Result<Option<Self>> {
        std::fs::create_dir_all(&path)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { path, _lock: lock })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The first folder that nobody holds, and all others that were left.
    fn first(spool: &Path) -> std::io::Result<(Self, Vec<Self>)> {
        let mut orphans = Vec::new();
        let mut own = None;
        for number in 0..MOST_PROCESSES {
            let path = spool.join(number.to_string());
            if own.is_some() && !path.exists() {
                break;
            }
            match (Self::take(path)?, &own) {
                (Some(folder), None) => own = Some(folder),
                (Some(folder), Some(_)) => orphans.push(folder),
                (None, _) => {}
            }
        }
        let own = own.ok_or_else(|| std::io::Error::other("too many proxies use this folder"))?;
        Ok((own, orphans))
    }
}

impl Audit {
    /// Opens the spool, cuts a torn tail off, and starts its writer. It holds at most so many bytes.
    pub(crate) fn open(folder: &Path, most: u64) -> std::io::Result<Self> {
        let (folder, orphans) = Folder::first(folder)?;
        let (queue, entries) = mpsc::channel(QUEUE_EVENTS);
        let writer = Writer::open(&folder.path, most)?;
        let state = writer.state();
        std::thread::Builder::new().name("audit".into()).spawn(move || write(writer, entries))?;
        Ok(Self { queue, folder, state, most, orphans: Mutex::new(orphans) })
    }

    /// Leaves an event to the writer: it is written in its turn, and nobody waits for that. Waits only where the queue is
    /// full, and for the disk where the spool is nearly full, so that no event is lost to the limit unnoticed.
    pub(crate) async fn note(&self, event: Event) -> Result<(), NotDurable> {
        if self.state.held() > self.most / 4 * 3 {
            return self.push(event).await;
        }
        let (done, _) = oneshot::channel();
        self.queue.send((event, done)).await.map_err(|_| NotDurable::Broken)
    }

    /// Leaves an event to the writer where that needs no waiting; gives it back where it does.
    pub(crate) fn offer(&self, event: Event) -> Result<(), Box<Event>> {
        if self.state.held() > self.most / 4 * 3 {
            return Err(Box::new(event));
        }
        let (done, _) = oneshot::channel();
        self.queue.try_send((event, done)).map_err(|full| Box::new(full.into_inner().0))
    }

    /// Makes an event durable.
    pub(crate) async fn push(&self, event: Event) -> Result<(), NotDurable> {
        let (done, result) = oneshot::channel();
        self.queue.send((event, done)).await.map_err(|_| NotDurable::Broken)?;
        result.await.map_err(|_| NotDurable::Broken)?
    }
}

/// Group commit: whatever waits is written together, with one sync.
fn write(mut writer: Writer, mut entries: mpsc::Receiver<Entry>) {
    let mut batch = Vec::new();
    while entries.blocking_recv_many(&mut batch, BATCH_EVENTS) > 0 {
        let mut text = String::new();
        for (event, _) in &batch {
            text.push_str(&record(event));
            if event.class == Class::A {
                tracing::info!(target: "audit", action = %event.action, decision = ?event.decision, tenant = event.tenant, reason = event.reason);
            }
        }
        let result = writer.append(text.as_bytes());
        if let Err(error) = &result {
            tracing::error!(%error, "the audit spool cannot be written");
        }
        for (_, done) in batch.drain(..) {
            // Nobody waits for the answer where the session has ended, or where the event is only noted.
            let _ = done.send(result.as_ref().copied().map_err(NotDurable::from));
        }
    }
}
