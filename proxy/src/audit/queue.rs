//! What waits for the disk, and the group commit that puts it there.

use std::sync::Arc;
use std::time::Duration;

use palisade_catalog::audit::Class;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use super::spool::{Writer, record};
use super::{Awaited, BATCH_EVENTS, Entry, NotDurable, QUEUE_EVENTS};

/// How long an entry that nobody waits for may lie, so that others are written with it.
const LINGER: Duration = Duration::from_millis(20);
/// So many entries that nobody waits for are not left to lie.
const MANY: usize = 1_024;
/// How long a disk that failed is left alone, where nobody asks.
const AGAIN: Duration = Duration::from_secs(1);

/// Entries that nobody waits for.
#[derive(Default)]
pub(super) struct Noted {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    /// Taken by the writer, and not on the disk yet.
    taken: usize,
}

impl Noted {
    /// Gives the entry back where too many wait.
    pub(super) fn offer(&self, entry: Entry) -> Result<(), Box<Entry>> {
        let mut waiting = self.waiting.lock();
        if waiting.entries.len() + waiting.taken >= QUEUE_EVENTS {
            return Err(Box::new(entry));
        }
        waiting.entries.push(entry);
        let wakes = matches!(waiting.entries.len(), 1 | MANY);
        drop(waiting);
        if wakes {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Moves what waits into `entries`, which is empty.
    fn take(&self, entries: &mut Vec<Entry>) {
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.entries, entries);
        waiting.taken += entries.len();
    }

    /// Whether everything is on the disk.
    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.entries.is_empty() && waiting.taken == 0
    }

    /// What was taken is on the disk.
    fn written(&self) {
        self.waiting.lock().taken = 0;
    }
}

/// Group commit: whatever waits is written together, with one sync.
pub(super) struct Commit {
    writer: Writer,
    awaited: mpsc::Receiver<Awaited>,
    noted: Arc<Noted>,
    /// Records that nobody waits for: kept until they are on the disk.
    text: Vec<u8>,
}

impl Commit {
    pub(super) fn new(writer: Writer, awaited: mpsc::Receiver<Awaited>, noted: Arc<Noted>) -> Self {
        Self { writer, awaited, noted, text: Vec::new() }
    }

    /// Writes until nobody can send any more.
    pub(super) async fn forever(mut self) {
        let (mut asked, mut entries) = (Vec::new(), Vec::new());
        let mut open = true;
        while open {
            open = self.wait(&mut asked).await;
            self.noted.take(&mut entries);
            self.once(&mut asked, &mut entries);
        }
    }

    /// Waits until there is something to write; `false` where nobody can send any more.
    async fn wait(&mut self, asked: &mut Vec<Awaited>) -> bool {
        let Self { awaited, noted, text, .. } = self;
        let lies = if text.is_empty() {
            tokio::select! {
                count = awaited.recv_many(asked, BATCH_EVENTS) => return count > 0,
                () = noted.wake.notified() => LINGER,
            }
        } else {
            AGAIN
        };
        tokio::select! {
            count = awaited.recv_many(asked, BATCH_EVENTS) => count > 0,
            () = noted.wake.notified(), if text.is_empty() => true,
            () = sleep(lies) => true,
        }
    }

    /// One group commit. What nobody waits for comes first: whoever waits knows that it is there too.
    fn once(&mut self, asked: &mut Vec<Awaited>, entries: &mut Vec<Entry>) {
        for entry in entries.drain(..) {
            record(&entry, &mut self.text);
        }
        let kept = self.text.len();
        for (entry, _) in &*asked {
            record(entry, &mut self.text);
            if let Entry::Event(event) = entry
                && event.class == Class::A
            {
                tracing::info!(target: "audit", action = %event.action, decision = ?event.decision, tenant = event.tenant, reason = event.reason);
            }
        }
        let result = if self.text.is_empty() { Ok(()) } else { self.writer.append(&self.text) };
        match &result {
            Ok(()) => {
                self.text.clear();
                self.noted.written();
            }
            Err(error) => {
                tracing::error!(%error, "the audit spool cannot be written");
                self.text.truncate(kept);
            }
        }
        for (_, done) in asked.drain(..) {
            // Nobody waits for the answer where the session has ended.
            let _ = done.send(result.as_ref().copied().map_err(NotDurable::from));
        }
    }
}

#[cfg(test)]
mod tests;
