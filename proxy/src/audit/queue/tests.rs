#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use palisade_catalog::audit::{Event, Plane};
use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::*;
use crate::audit::spool::{self, Found, Place};

fn some(action: &str) -> Entry {
    Event::new(OffsetDateTime::now_utc(), Class::B, Plane::Data, action, "app").into()
}

/// A commit to a folder of its own with so many bytes, and the way to it.
fn commit(name: &str, most: u64) -> (std::path::PathBuf, mpsc::Sender<Awaited>, Arc<Noted>, Commit) {
    let folder = std::env::temp_dir().join(format!("palisade-queue-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let (queue, awaited) = mpsc::channel(QUEUE_EVENTS);
    let noted = Arc::new(Noted::default());
    let writer = Writer::open(&folder, most).unwrap();
    let commit = Commit::new(writer, awaited, noted.clone());
    (folder, queue, noted, commit)
}

/// The actions of what is on the disk.
fn actions(folder: &std::path::Path) -> Vec<String> {
    let (found, _) = spool::read(folder, Place { segment: 0, offset: 0 }, None, 99).unwrap();
    let action = |found| match found {
        Found::Event(json) => serde_json::from_str::<Event>(&json).unwrap().action,
        Found::Damaged(..) => "!".to_owned(),
    };
    found.into_iter().map(action).collect()
}

#[tokio::test]
async fn who_waits_has_what_was_noted_before_on_the_disk_too() {
    let (folder, queue, noted, commit) = commit("order", 1 << 20);
    let writing = tokio::spawn(commit.forever());
    for action in ["one", "two"] {
        assert!(noted.offer(some(action)).is_ok());
    }
    let (done, result) = oneshot::channel();
    queue.send((some("three"), done)).await.unwrap();
    assert_eq!(result.await.unwrap(), Ok(()));
    assert_eq!(actions(&folder), ["one", "two", "three"]);
    // What comes last is written when nobody can send any more.
    assert!(noted.offer(some("four")).is_ok());
    drop(queue);
    writing.await.unwrap();
    assert_eq!(actions(&folder), ["one", "two", "three", "four"]);
}

#[test]
fn what_was_noted_stays_until_the_disk_takes_it_and_what_was_refused_is_never_there() {
    let (folder, _queue, noted, mut commit) = commit("kept", 0);
    let ask = |commit: &mut Commit, action: &str| {
        let (done, mut result) = oneshot::channel();
        let (mut entries, mut asked) = (Vec::new(), vec![(some(action), done)]);
        commit.noted.take(&mut entries);
        commit.once(&mut asked, &mut entries);
        result.try_recv().unwrap()
    };
    assert!(noted.offer(some("noted")).is_ok());
    assert_eq!(ask(&mut commit, "refused"), Err(NotDurable::Full));
    assert_eq!(actions(&folder), Vec::<String>::new());
    commit.writer = Writer::open(&folder, 1 << 20).unwrap();
    assert_eq!(ask(&mut commit, "asked"), Ok(()));
    assert_eq!(actions(&folder), ["noted", "asked"]);
}

#[test]
fn no_more_than_the_limit_lies_in_memory_with_what_the_writer_has() {
    let noted = Noted::default();
    for _ in 0..QUEUE_EVENTS {
        assert!(noted.offer(some("one")).is_ok());
    }
    assert!(noted.offer(some("more")).is_err());
    let mut entries = Vec::new();
    noted.take(&mut entries);
    assert_eq!(entries.len(), QUEUE_EVENTS);
    assert!(noted.offer(some("more")).is_err(), "the writer has them, the disk does not");
    noted.written();
    assert!(noted.offer(some("more")).is_ok());
}
