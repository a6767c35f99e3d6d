//! The audit spool: events are durable here before a client has its answer, and are shipped to the catalog at least
//! once.
//!
//! Each process has a numbered folder of its own in the spool, held by a lock: at an upgrade two processes write and
//! ship side by side. Folders that nobody holds were left by a process that is gone; whoever starts next ships them.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use palisade_catalog::audit::{Class, Decision, Event, Plane};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::{Shared, follower};

/// Most events that wait for the disk.
const QUEUE_EVENTS: usize = 4_096;
/// Most events of one group commit, and of one shipment.
const BATCH_EVENTS: usize = 512;
/// How often the spool is shipped.
const SHIP_INTERVAL: Duration = Duration::from_millis(300);
/// Most processes that share a spool.
const MOST_PROCESSES: u32 = 64;
/// A spool that grew beyond this and is shipped whole begins anew, in bytes.
const TRUNCATE_BYTES: u64 = 16 << 20;

/// An event could not be made durable: what it is about must not happen.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the audit spool cannot be written")]
pub(crate) struct NotDurable;

type Entry = (Event, oneshot::Sender<Result<(), NotDurable>>);

/// The way to the spool.
pub(crate) struct Audit {
    queue: mpsc::Sender<Entry>,
    folder: Folder,
    room: Arc<Room>,
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
    /// Opens the spool, cuts a torn tail off, and starts its writer.
    pub(crate) fn open(folder: &Path) -> std::io::Result<Self> {
        let (folder, orphans) = Folder::first(folder)?;
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(events(&folder.path))?;
        repair(&mut file)?;
        let good = file.metadata()?.len();
        let (queue, entries) = mpsc::channel(QUEUE_EVENTS);
        let room = Arc::new(Room::default());
        let mut writer =
            Writer { file, mark: folder.path.join("shipped"), good, torn: false, room: room.clone() };
        std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(entries))?;
        Ok(Self { queue, folder, room, orphans: Mutex::new(orphans) })
    }

    /// Leaves an event to the writer: it is written in its turn, and nobody waits for that. Waits only where the queue is
    /// full.
    pub(crate) async fn note(&self, event: Event) -> Result<(), NotDurable> {
        let (done, _) = oneshot::channel();
        self.queue.send((event, done)).await.map_err(|_| NotDurable)
    }

    /// Makes an event durable.
    pub(crate) async fn push(&self, event: Event) -> Result<(), NotDurable> {
        let (done, result) = oneshot::channel();
        self.queue.send((event, done)).await.map_err(|_| NotDurable)?;
        result.await.map_err(|_| NotDurable)?
    }
}

fn events(folder: &Path) -> PathBuf {
    folder.join("events.jsonl")
}

/// A crash may leave half a line: it was never acknowledged.
fn repair(file: &mut File) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

/// What the shipper and the writer tell each other about room in the spool.
#[derive(Default)]
struct Room {
    /// Everything up to this length has been shipped: a spool of this length may be emptied. 0: nothing to empty.
    shipped_whole: AtomicU64,
    /// How often it was emptied.
    emptied: AtomicU64,
}

/// The only one that changes the spool's file.
struct Writer {
    file: File,
    /// The file that says how far the spool has been shipped.
    mark: PathBuf,
    /// The length up to which every line is whole and durable.
    good: u64,
    /// Behind `good` may be half a batch: nothing is written before it is cut off.
    torn: bool,
    room: Arc<Room>,
}

impl Writer {
    /// Group commit: whatever waits is written together, with one sync.
    fn run(&mut self, mut entries: mpsc::Receiver<Entry>) {
        let mut batch = Vec::new();
        while entries.blocking_recv_many(&mut batch, BATCH_EVENTS) > 0 {
            let mut text = String::new();
            for (event, _) in &batch {
                // An event is made of strings, numbers and times: it always has a JSON form.
                text.push_str(&serde_json::to_string(event).unwrap_or_default());
                text.push('\n');
                tracing::info!(target: "audit", action = %event.action, decision = ?event.decision, tenant = event.tenant, reason = event.reason);
            }
            let result = self.append(text.as_bytes());
            if let Err(error) = &result {
                tracing::error!(%error, "the audit spool cannot be written");
            }
            for (_, done) in batch.drain(..) {
                // Nobody waits for the answer where the session has ended, or where the event is only noted.
                let _ = done.send(result.as_ref().copied().map_err(|_| NotDurable));
            }
        }
    }

    /// Writes whole lines, or nothing: what a failure leaves behind is cut off before anything else is written.
    fn append(&mut self, text: &[u8]) -> std::io::Result<()> {
        if self.torn {
            self.file.set_len(self.good)?;
            self.torn = false;
        }
        self.empty()?;
        self.torn = true;
        self.file.write_all(text)?;
        self.file.sync_data()?;
        self.good += text.len() as u64;
        self.torn = false;
        Ok(())
    }

    /// Empties a spool that has been shipped as a whole. The mark goes back first: a crash in between ships again what
    /// the catalog has, which changes nothing there.
    fn empty(&mut self) -> std::io::Result<()> {
        let whole = self.room.shipped_whole.swap(0, Ordering::AcqRel);
        if whole == 0 || whole != self.good {
            return Ok(());
        }
        self.room.emptied.fetch_add(1, Ordering::AcqRel);
        let mut mark =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.mark)?;
        mark.write_all(b"0")?;
        mark.sync_data()?;
        self.file.set_len(0)?;
        self.good = 0;
        Ok(())
    }
}

/// Ships the spool to the catalog for ever; while it is away the spool grows.
pub(crate) async fn ship(shared: Arc<Shared>) {
    loop {
        if let Err(error) = ship_once(&shared).await {
            tracing::warn!(%error, "audit events wait in the spool");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn ship_once(shared: &Shared) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let client = follower::connect(shared, &Arc::default()).await?;
    let orphans: Vec<PathBuf> =
        shared.audit.orphans.lock().iter().map(|folder| folder.path.clone()).collect();
    for folder in orphans {
        while ship_batch(&client, &folder, None).await? {}
        std::fs::remove_dir_all(&folder)?;
        shared.audit.orphans.lock().retain(|orphan| orphan.path != folder);
    }
    let folder = &shared.audit.folder.path;
    loop {
        if ship_batch(&client, folder, Some(&shared.audit.room)).await? {
            continue;
        }
        let length = std::fs::metadata(events(folder))?.len();
        if length > TRUNCATE_BYTES && length == shipped(folder) {
            shared.audit.room.shipped_whole.store(length, Ordering::Release);
        }
        tokio::time::sleep(SHIP_INTERVAL).await;
        // The connection's end shows here, not only at the next event.
        client.simple_query("").await?;
    }
}

/// How far a folder has been shipped, in bytes.
fn shipped(folder: &Path) -> u64 {
    std::fs::read_to_string(folder.join("shipped"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

/// Ships what is next; says whether there was anything.
async fn ship_batch(
    client: &tokio_postgres::Client,
    folder: &Path,
    room: Option<&Room>,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let emptied = || room.map_or(0, |room| room.emptied.load(Ordering::Acquire));
    let before = emptied();
    let Ok(meta) = std::fs::metadata(events(folder)) else { return Ok(false) };
    // A spool that is shorter than the mark began anew.
    let at = shipped(folder);
    let at = if at > meta.len() { 0 } else { at };
    let (batch, next) = read(folder, at)?;
    for event in &batch {
        insert(client, event).await?;
    }
    // A spool that was emptied meanwhile is read from its beginning.
    if next == at || emptied() != before {
        return Ok(emptied() != before);
    }
    std::fs::write(folder.join("shipped"), next.to_string())?;
    Ok(true)
}

/// Whole lines from a place on, and the place behind them.
fn read(folder: &Path, at: u64) -> std::io::Result<(Vec<Event>, u64)> {
    let mut file = File::open(events(folder))?;
    file.seek(SeekFrom::Start(at))?;
    let mut reader = BufReader::new(file);
    let (mut batch, mut next, mut line) = (Vec::new(), at, String::new());
    while batch.len() < BATCH_EVENTS {
        line.clear();
        let bytes = reader.read_line(&mut line)?;
        if bytes == 0 || !line.ends_with('\n') {
            break;
        }
        next += bytes as u64;
        match serde_json::from_str(&line) {
            Ok(event) => batch.push(event),
            Err(error) => tracing::error!(%error, "a line of the spool is not an event"),
        }
    }
    Ok((batch, next))
}

async fn insert(client: &tokio_postgres::Client, event: &Event) -> Result<(), tokio_postgres::Error> {
    let class = match event.class {
        Class::A => "A",
        Class::B => "B",
        Class::C => "C",
    };
    let plane = if event.plane == Plane::Data { "data" } else { "control" };
    let decision = if event.decision == Decision::Allow { "allow" } else { "deny" };
    let body = serde_json::to_value(event).unwrap_or_default();
    client
        .execute(
            "INSERT INTO palisade_control.audit_events
               (id, at, class, plane, action, decision, result, actor, tenant_id, event)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
            &[
                &event.id,
                &event.at,
                &class,
                &plane,
                &event.action,
                &decision,
                &event.result,
                &event.actor,
                &event.tenant_id,
                &body,
            ],
        )
        .await?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn writer(name: &str) -> (PathBuf, Writer) {
        let folder = std::env::temp_dir().join(format!("palisade-spool-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let file = OpenOptions::new().read(true).append(true).create(true).open(events(&folder)).unwrap();
        let room = Arc::new(Room::default());
        let writer = Writer { file, mark: folder.join("shipped"), good: 0, torn: false, room };
        (folder, writer)
    }

    #[test]
    fn half_a_batch_is_cut_off_before_the_next() {
        let (folder, mut writer) = writer("torn");
        writer.append(b"one\n").unwrap();
        // What a full disk leaves behind.
        writer.file.write_all(b"hal").unwrap();
        writer.torn = true;
        writer.append(b"two\n").unwrap();
        assert_eq!(std::fs::read(events(&folder)).unwrap(), b"one\ntwo\n");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_what_was_shipped_as_a_whole_is_emptied() {
        let (folder, mut writer) = writer("emptied");
        writer.append(b"one\n").unwrap();
        std::fs::write(folder.join("shipped"), "4").unwrap();
        writer.room.shipped_whole.store(4, Ordering::Release);
        writer.append(b"two\n").unwrap();
        assert_eq!(std::fs::read(events(&folder)).unwrap(), b"two\n");
        assert_eq!((shipped(&folder), writer.good), (0, 4));
        // The wish is of the past: more has come since.
        writer.room.shipped_whole.store(2, Ordering::Release);
        writer.append(b"three\n").unwrap();
        assert_eq!(std::fs::read(events(&folder)).unwrap(), b"two\nthree\n");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
