//! The spool's files: segments of records, each a checksum and an event, and the mark that says how far they were shipped.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use palisade_catalog::audit::Event;
use parking_lot::Mutex;

use super::Entry;

/// A segment of this length is followed by the next, in bytes.
const SEGMENT_BYTES: u64 = 8 << 20;

/// A place in a folder: a segment's number and bytes from its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// What the writer and the shipper of a folder tell each other.
#[derive(Default)]
pub(super) struct State {
    /// Up to here every record is whole and durable: nothing behind it is shipped.
    durable: Mutex<Place>,
    /// What the segments hold, in bytes.
    held: AtomicU64,
}

impl State {
    pub(super) fn durable(&self) -> Place {
        *self.durable.lock()
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Acquire)
    }
}

fn segment(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("events-{number:010}.log"))
}

/// The numbers of a folder's segments, the oldest first. A file of the time before segments becomes the first.
pub(super) fn segments(folder: &Path) -> Result<Vec<u64>> {
    let old = folder.join("events.jsonl");
    if old.exists() {
        std::fs::rename(old, segment(folder, 0))?;
    }
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_str().and_then(|name| name.strip_prefix("events-")?.strip_suffix(".log"));
        numbers.extend(name.and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Appends an entry as a record: the CRC-32 of its JSON in eight hexadecimal digits, a space, the JSON, the line's end.
pub(super) fn record(entry: &Entry, to: &mut Vec<u8>) {
    let begin = to.len();
    to.extend_from_slice(b"00000000 ");
    let written = match entry {
        Entry::Event(event) => serde_json::to_writer(&mut *to, event),
        Entry::Done(done) => done.write(to),
    };
    // An event is made of strings, numbers and times: it always has a JSON form.
    if let Err(error) = written {
        tracing::error!(%error, "an event has no JSON form");
    }
    let sum = format!("{:08x}", crc32fast::hash(&to[begin + 9..]));
    to[begin..begin + 8].copy_from_slice(sum.as_bytes());
    to.push(b'\n');
}

/// The event of a record, as the JSON that was written; `None` where it was damaged. A record of the time before checksums
/// is bare JSON, and is read to know whether it is whole.
fn event(line: &[u8]) -> Option<String> {
    let text = |json: &[u8]| std::str::from_utf8(json).ok().map(str::to_owned);
    if line.starts_with(b"{") {
        return serde_json::from_slice::<Event>(line).ok().and_then(|_| text(line.trim_ascii_end()));
    }
    let (sum, json) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?.strip_suffix(' ')?, 16).ok()?;
    let json = json.strip_suffix(b"\n")?;
    (crc32fast::hash(json) == sum).then(|| text(json))?
}

/// What was read: events, or the places of records that are none.
pub(super) enum Found {
    /// An event, as JSON.
    Event(String),
    /// A damaged record: where it begins, and its bytes.
    Damaged(Place, u64),
}

/// Whole records from a place on, up to an end where there is one, and the place behind them.
pub(super) fn read(folder: &Path, at: Place, end: Option<Place>, most: usize) -> Result<(Vec<Found>, Place)> {
    let mut file = File::open(segment(folder, at.segment))?;
    file.seek(SeekFrom::Start(at.offset))?;
    let length = match end {
        Some(end) if end.segment == at.segment => end.offset.saturating_sub(at.offset),
        _ => u64::MAX,
    };
    let mut reader = BufReader::new(file.take(length));
    let (mut found, mut next, mut line) = (Vec::new(), at, Vec::new());
    while found.len() < most {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)? as u64;
        if !line.ends_with(b"\n") {
            break;
        }
        found.push(match event(&line) {
            Some(event) => Found::Event(event),
            None => Found::Damaged(next, bytes),
        });
        next.offset += bytes;
    }
    Ok((found, next))
}

/// How far a folder was shipped: never behind its oldest segment. A mark that cannot be read begins anew: what the
/// catalog has already changes nothing there.
pub(super) fn shipped(folder: &Path, segments: &[u64]) -> Place {
    let text = std::fs::read_to_string(folder.join("shipped")).unwrap_or_default();
    let mut numbers = text.split_ascii_whitespace().map(|word| word.parse::<u64>().ok());
    let mark = match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(segment), Some(offset)) => Place { segment, offset },
        // The mark of the time before segments.
        (Some(offset), None) => Place { segment: 0, offset },
        _ => Place::default(),
    };
    let number = segments.iter().copied().find(|number| *number >= mark.segment).unwrap_or(mark.segment);
    if number != mark.segment {
        return Place { segment: number, offset: 0 };
    }
    let length = std::fs::metadata(segment(folder, number)).map_or(0, |meta| meta.len());
    if mark.offset > length { Place { segment: number, offset: 0 } } else { mark }
}

/// Notes how far a folder was shipped.
pub(super) fn mark(folder: &Path, place: Place) -> Result<()> {
    std::fs::write(folder.join("shipped"), format!("{} {}", place.segment, place.offset))
}

/// Removes a segment that was shipped.
pub(super) fn remove(folder: &Path, number: u64, state: Option<&State>) -> Result<()> {
    let path = segment(folder, number);
    let length = std::fs::metadata(&path)?.len();
    std::fs::remove_file(path)?;
    if let Some(state) = state {
        state.held.fetch_sub(length, Ordering::AcqRel);
    }
    Ok(())
}

/// The only one that writes segments.
pub(super) struct Writer {
    folder: PathBuf,
    file: File,
    /// Up to here every record is whole and durable.
    good: Place,
    /// Behind `good` may be half a batch: nothing is written before it is cut off.
    torn: bool,
    /// Most bytes of all segments.
    most: u64,
    state: Arc<State>,
}

impl Writer {
    /// Opens the newest segment and cuts a torn tail off: it was never acknowledged.
    pub(super) fn open(folder: &Path, most: u64) -> Result<Self> {
        let numbers = segments(folder)?;
        let newest = numbers.last().copied().unwrap_or_default();
        let mut file = open(folder, newest)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at as u64 + 1);
        file.set_len(whole)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        let lengths = numbers.iter().map(|number| Ok(std::fs::metadata(segment(folder, *number))?.len()));
        let good = Place { segment: newest, offset: whole };
        let state = State { durable: Mutex::new(good), held: AtomicU64::new(lengths.sum::<Result<u64>>()?) };
        Ok(Self { folder: folder.to_owned(), file, good, torn: false, most, state: Arc::new(state) })
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.state.clone()
    }

    /// Writes whole records, or nothing: what a failure leaves behind is cut off before anything else is written.
    pub(super) fn append(&mut self, text: &[u8]) -> Result<()> {
        if self.torn {
            self.file.set_len(self.good.offset)?;
            self.torn = false;
        }
        let length = text.len() as u64;
        if self.state.held().saturating_add(length) > self.most {
            return Err(Error::new(ErrorKind::StorageFull, "spool_max_bytes is reached"));
        }
        if self.good.offset >= SEGMENT_BYTES {
            self.follow()?;
        }
        self.torn = true;
        self.file.write_all(text)?;
        self.file.sync_data()?;
        self.torn = false;
        self.good.offset += length;
        self.state.held.fetch_add(length, Ordering::AcqRel);
        *self.state.durable.lock() = self.good;
        Ok(())
    }

    /// Begins the next segment.
    fn follow(&mut self) -> Result<()> {
        let next = self.good.segment + 1;
        self.file = open(&self.folder, next)?;
        File::open(&self.folder)?.sync_all()?;
        self.good = Place { segment: next, offset: 0 };
        *self.state.durable.lock() = self.good;
        Ok(())
    }
}

fn open(folder: &Path, number: u64) -> Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(segment(folder, number))
}

#[cfg(test)]
mod tests;
