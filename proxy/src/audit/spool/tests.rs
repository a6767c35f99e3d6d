#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use palisade_catalog::audit::{Class, Plane};
use time::OffsetDateTime;

use super::*;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("palisade-spool-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A record's text.
fn record(event: Event) -> String {
    let mut text = Vec::new();
    super::record(&event.into(), &mut text);
    String::from_utf8(text).unwrap()
}

fn some(action: &str) -> Event {
    Event::new(OffsetDateTime::now_utc(), Class::A, Plane::Data, action, "app")
}

/// The actions of what is read; a damaged record is `!`.
fn actions(found: &[Found]) -> Vec<String> {
    let actions = found.iter().map(|found| match found {
        Found::Event(event) => serde_json::from_str::<Event>(event).unwrap().action,
        Found::Damaged(..) => "!".to_owned(),
    });
    actions.collect()
}

const START: Place = Place { segment: 0, offset: 0 };

#[test]
fn half_a_batch_is_cut_off_before_the_next() {
    let folder = folder("torn");
    let mut writer = Writer::open(&folder, 1 << 20).unwrap();
    writer.append(record(some("one")).as_bytes()).unwrap();
    let durable = writer.state().durable();
    // What a full disk leaves behind: a whole record that was never acknowledged, and half of one.
    writer.file.write_all(format!("{}hal", record(some("lost"))).as_bytes()).unwrap();
    writer.torn = true;
    assert_eq!(actions(&read(&folder, START, Some(durable), 9).unwrap().0), ["one"]);
    writer.append(record(some("two")).as_bytes()).unwrap();
    let (found, next) = read(&folder, START, Some(writer.state().durable()), 9).unwrap();
    assert_eq!((actions(&found), next), (vec!["one".to_owned(), "two".to_owned()], writer.state().durable()));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_torn_tail_is_cut_off_at_the_start() {
    let folder = folder("tail");
    let whole = record(some("one"));
    std::fs::write(segment(&folder, 3), format!("{whole}1234abcd {{\"v\"")).unwrap();
    let writer = Writer::open(&folder, 1 << 20).unwrap();
    assert_eq!(writer.state().durable(), Place { segment: 3, offset: whole.len() as u64 });
    assert_eq!(writer.state().held(), whole.len() as u64);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_full_spool_refuses_until_a_segment_was_shipped() {
    let folder = folder("full");
    let big = vec![b'\n'; usize::try_from(SEGMENT_BYTES).unwrap()];
    let mut writer = Writer::open(&folder, 2 * SEGMENT_BYTES).unwrap();
    let state = writer.state();
    writer.append(&big).unwrap();
    writer.append(&big).unwrap();
    let refused = writer.append(b"more\n").unwrap_err();
    assert_eq!(crate::audit::NotDurable::from(&refused), crate::audit::NotDurable::Full);
    assert_eq!(segments(&folder).unwrap(), [0, 1]);
    remove(&folder, 0, Some(&state)).unwrap();
    assert_eq!(state.held(), SEGMENT_BYTES);
    writer.append(b"more\n").unwrap();
    assert_eq!(state.durable(), Place { segment: 2, offset: 5 });
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_changed_byte_is_damage_and_the_rest_is_read() {
    let folder = folder("damaged");
    let lines = ["one", "two", "three"].map(|action| record(some(action)));
    let mut bytes = lines.concat().into_bytes();
    // Not even UTF-8 any more.
    bytes[lines[0].len() + 40] = 0xff;
    std::fs::write(segment(&folder, 0), &bytes).unwrap();
    let (found, next) = read(&folder, START, None, 9).unwrap();
    assert_eq!(actions(&found), ["one", "!", "three"]);
    let Found::Damaged(place, length) = &found[1] else { panic!("it is damaged") };
    assert_eq!((place.offset, *length), (lines[0].len() as u64, lines[1].len() as u64));
    assert_eq!(next.offset, bytes.len() as u64);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_spool_of_the_time_before_segments_is_read_on() {
    let folder = folder("old");
    let lines = ["one", "two"].map(|action| serde_json::to_string(&some(action)).unwrap() + "\n");
    std::fs::write(folder.join("events.jsonl"), lines.concat()).unwrap();
    std::fs::write(folder.join("shipped"), lines[0].len().to_string()).unwrap();
    let numbers = segments(&folder).unwrap();
    let at = shipped(&folder, &numbers);
    assert_eq!(actions(&read(&folder, at, None, 9).unwrap().0), ["two"]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_mark_is_never_behind_the_oldest_segment_nor_beyond_a_segments_end() {
    let folder = folder("mark");
    std::fs::write(segment(&folder, 4), "12345\n").unwrap();
    for (text, segment, offset) in [("", 4, 0), ("what", 4, 0), ("3 99", 4, 0), ("4 6", 4, 6), ("4 7", 4, 0)]
    {
        std::fs::write(folder.join("shipped"), text).unwrap();
        assert_eq!(shipped(&folder, &[4]), Place { segment, offset }, "{text:?}");
    }
    mark(&folder, Place { segment: 4, offset: 6 }).unwrap();
    assert_eq!(shipped(&folder, &[4]), Place { segment: 4, offset: 6 });
    std::fs::remove_dir_all(&folder).unwrap();
}
