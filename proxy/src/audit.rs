//! The audit spool: events are durable here before a client has its answer, and are shipped to the catalog at least
//! once.
//!
//! Each process has a numbered folder of its own in the spool, held by a lock: at an upgrade two processes write and
//! ship side by side. Folders that nobody holds were left by a process that is gone; whoever starts next ships them.

mod done;
mod queue;
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

pub(crate) use done::Done;
use queue::Noted;
pub(crate) use ship::ship;
use spool::{State, Writer};

/// Most events that wait for the disk with somebody who waits for them, and most that nobody waits for.
const QUEUE_EVENTS: usize = 4_096;
/// Most events of one group commit that somebody waits for, and of one shipment.
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

/// What goes on record.
#[derive(Clone)]
pub(crate) enum Entry {
    Event(Box<Event>),
    /// A statement that is over: its event is put together by the writer.
    Done(Done),
}

impl Entry {
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Event(event) => event.class,
            Self::Done(_) => Done::CLASS,
        }
    }
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        Self::Event(Box::new(event))
    }
}

/// An entry, and who waits until it is durable.
type Awaited = (Entry, oneshot::Sender<Result<(), NotDurable>>);

/// The way to the spool.
pub(crate) struct Audit {
    queue: mpsc::Sender<Awaited>,
    noted: Arc<Noted>,
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
        let (queue, awaited) = mpsc::channel(QUEUE_EVENTS);
        let noted = Arc::new(Noted::default());
        let writer = Writer::open(&folder.path, most)?;
        let state = writer.state();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let commit = queue::Commit::new(writer, awaited, noted.clone());
        std::thread::Builder::new().name("audit".into()).spawn(move || runtime.block_on(commit.forever()))?;
        Ok(Self { queue, noted, folder, state, most, orphans: Mutex::new(orphans) })
    }

    /// Leaves an event to the writer: it is written in its turn, and nobody waits for that. Waits only where too many do
    /// already, and where the spool is nearly full, so that no event is lost to the limit unnoticed.
    pub(crate) async fn note(&self, event: Event) -> Result<(), NotDurable> {
        match self.offer(event.into()) {
            Ok(()) => Ok(()),
            Err(entry) => self.push(*entry).await,
        }
    }

    /// Leaves an entry to the writer where that needs no waiting; gives it back where it does.
    pub(crate) fn offer(&self, entry: Entry) -> Result<(), Box<Entry>> {
        if self.state.held() > self.most / 4 * 3 {
            return Err(Box::new(entry));
        }
        self.noted.offer(entry)
    }

    /// Whether whatever was left to the writer is on the disk.
    pub(crate) fn nothing_waits(&self) -> bool {
        self.noted.is_empty()
    }

    /// Makes an entry durable, and whatever was left to the writer before it.
    pub(crate) async fn push(&self, entry: impl Into<Entry>) -> Result<(), NotDurable> {
        let (done, result) = oneshot::channel();
        self.queue.send((entry.into(), done)).await.map_err(|_| NotDurable::Broken)?;
        result.await.map_err(|_| NotDurable::Broken)?
    }
}
