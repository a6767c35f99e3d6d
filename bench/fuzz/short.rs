//! The fuzz targets in short form, without a fuzzer: inputs from the corpora and from a server's answers, changed at random.
//! `run.sh` beside this file is the long form, guided by coverage.

mod checks;

use std::panic::{AssertUnwindSafe, catch_unwind};

use palisade_proxy::measured::play;
use palisade_wire::frame;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const CORPORA: [&str; 2] = [include_str!("../corpus/attacks.jsonl"), include_str!("../corpus/benign.jsonl")];
/// The same inputs each time: the long form looks for new ones.
const SEED: u64 = 20_261_126;

/// Every string of a value.
fn strings(value: &serde_json::Value, found: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) => {
            let named =
                [("{SA}", "public"), ("{SB}", "t_bbbbbbbbbbbbbbbbbbbb"), ("{A}", "acme"), ("{B}", "globex")];
            let text = named.iter().fold(text.clone(), |text, (mark, name)| text.replace(mark, name));
            found.push(text.into_bytes());
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
        serde_json::Value::Object(values) => values.values().for_each(|value| strings(value, found)),
        _ => {}
    }
}

fn texts() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for line in CORPORA.iter().flat_map(|corpus| corpus.lines()) {
        let case: serde_json::Value = serde_json::from_str(line).expect("the corpus is JSON");
        strings(&case["steps"], &mut found);
    }
    found
}

/// One of the inputs with a few changes: bytes replaced, put in, taken out, doubled, and pieces of another input.
fn changed(inputs: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = inputs.choose(rng).cloned().unwrap_or_default();
    for _ in 0..rng.random_range(0..4) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..9)).min(bytes.len());
        match rng.random_range(0..5) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.insert(at, rng.random()),
            2 => bytes[at..end].fill_with(|| rng.random()),
            3 => bytes.extend_from_within(at..end),
            _ => {
                let other = inputs.choose(rng).cloned().unwrap_or_default();
                let from = rng.random_range(0..=other.len());
                let to = (from + rng.random_range(0..40)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    bytes
}

/// Asks for each input; an input that does not hold is shown so that it can be tried again.
fn each(count: usize, mut next: impl FnMut(&mut StdRng) -> Vec<u8>, check: impl Fn(&[u8])) {
    let mut rng = StdRng::seed_from_u64(SEED);
    for number in 0..count {
        let input = next(&mut rng);
        let held = catch_unwind(AssertUnwindSafe(|| check(&input)));
        assert!(held.is_ok(), "input {number} does not hold: \"{}\"", input.escape_ascii());
    }
}

#[test]
fn hostile_texts_are_read_or_refused() {
    let inputs = texts();
    assert!(inputs.len() > 500, "the corpora have {} texts", inputs.len());
    each(6_000, |rng| changed(&inputs, rng), checks::statements);
}

#[test]
fn bytes_of_servers_are_read_or_refused() {
    let error = b"SERROR\0VERROR\0C42P01\0Mrelation \"x\" does not exist\0P15\0Fparse_relation.c\0L1\0R1\0\0";
    let row = b"\0\x02\0\0\0\x011\xff\xff\xff\xff";
    let inputs: Vec<Vec<u8>> = [
        (b'T', &b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"[..]),
        (b'D', row),
        (b'C', b"SELECT 1\0"),
        (b'Z', b"I"),
        (b'E', error),
        (b'N', error),
        (b'S', b"TimeZone\0UTC\0"),
        (b'A', b"\0\0\0\x01channel\0payload\0"),
        (b'1', b""),
        (b'G', b"\0\0\x01\0\0"),
    ]
    .iter()
    .map(|(tag, body)| frame::message(*tag, body))
    .chain([error.to_vec(), b"\0\0\0\x17\0\x03\0\0user\0a\0database\0b\0\0".to_vec()])
    .collect();
    let next = |rng: &mut StdRng| (0..rng.random_range(1..6)).flat_map(|_| changed(&inputs, rng)).collect();
    each(60_000, next, checks::frames);
}

#[test]
fn answers_stay_with_their_messages() {
    let tags = *b"123CDEGHINSTWZcntsAV";
    let next = |rng: &mut StdRng| {
        let length = rng.random_range(1..60);
        (0..length)
            .map(|_| {
                if rng.random_bool(0.8) {
                    rng.random_range(0..17)
                } else {
                    tags[rng.random_range(0..tags.len())]
                }
            })
            .collect()
    };
    each(60_000, next, play);
}
