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
        let (queue, entries) = mpsc::channel(QUEUE_EVENTS);
        std::thread::Builder::new().name("audit".into()).spawn(move || write(file, entries))?;
        Ok(Self { queue, folder, orphans: Mutex::new(orphans) })
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

/// Group commit: whatever waits is written together, with one sync.
fn write(mut file: File, mut entries: mpsc::Receiver<Entry>) {
    let mut batch = Vec::new();
    while entries.blocking_recv_many(&mut batch, BATCH_EVENTS) > 0 {
        let mut text = String::new();
        for (event, _) in &batch {
            // An event is made of strings, numbers and times: it always has a JSON form.
            text.push_str(&serde_json::to_string(event).unwrap_or_default());
            text.push('\n');
            tracing::info!(target: "audit", action = %event.action, decision = ?event.decision, tenant = event.tenant, reason = event.reason);
        }
        let result = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        if let Err(error) = &result {
            tracing::error!(%error, "the audit spool cannot be written");
        }
        for (_, done) in batch.drain(..) {
            // Nobody waits for the answer where the session has ended.
            let _ = done.send(result.as_ref().copied().map_err(|_| NotDurable));
        }
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
        while ship_batch(&client, &folder).await? {}
        std::fs::remove_dir_all(&folder)?;
        shared.audit.orphans.lock().retain(|orphan| orphan.path != folder);
    }
    let folder = &shared.audit.folder.path;
    loop {
        if ship_batch(&client, folder).await? {
            continue;
        }
        let length = std::fs::metadata(events(folder))?.len();
        if length > TRUNCATE_BYTES && length == shipped(folder) {
            OpenOptions::new().write(true).open(events(folder))?.set_len(0)?;
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
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let Ok(meta) = std::fs::metadata(events(folder)) else { return Ok(false) };
    // A spool that is shorter than the mark began anew.
    let at = shipped(folder);
    let at = if at > meta.len() { 0 } else { at };
    let (batch, next) = read(folder, at)?;
    for event in &batch {
        insert(client, event).await?;
    }
    if next == at {
        return Ok(false);
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
