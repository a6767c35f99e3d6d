//! The protocol itself: startup packets, message orders, lengths, encodings, cut and joined segments.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::lab::PREPARED;
use crate::wire::{Address, Wire, extended, run_prepared, simple};

/// How long an answer to nonsense is waited for.
const PATIENCE: Duration = Duration::from_millis(120);
/// Types of messages that a client sends, and some that it does not.
const TAGS: [u8; 20] = *b"QPBDESHCXFdcfpRTKZ1\0";

/// One attack: what was sent and what came back.
pub(crate) fn attack(address: &Address, schema: &str, rng: &mut StdRng) -> (Vec<u8>, Vec<u8>) {
    if rng.random_range(0..6) == 0 {
        return cancel(address, rng);
    }
    let fresh = rng.random_range(0..3) == 0;
    let bytes = if fresh { startup(address, schema, rng) } else { messages(schema, rng) };
    let wire = if fresh { Wire::connect(&address.host) } else { Wire::open(address) };
    let Ok(wire) = wire else { return (bytes, Vec::new()) };
    exchange(wire, bytes, rng)
}

/// Sends bytes in segments of any length, and takes what comes back.
fn exchange(mut wire: Wire, bytes: Vec<u8>, rng: &mut StdRng) -> (Vec<u8>, Vec<u8>) {
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rng.random_range(1..=rest.len()));
        if wire.send(now).is_err() {
            break;
        }
        rest = later;
    }
    wire.drain(usize::MAX, PATIENCE);
    (bytes, wire.received)
}

/// A cancel of one's own session with something of its key changed: it must reach nobody.
fn cancel(address: &Address, rng: &mut StdRng) -> (Vec<u8>, Vec<u8>) {
    let own = Wire::open(address).ok().and_then(|wire| wire.key).unwrap_or_default();
    let Ok(wire) = Wire::connect(&address.host) else { return (Vec::new(), Vec::new()) };
    let (process, secret) = match rng.random_range(0..4) {
        0 => own,
        1 => (own.0, rng.random()),
        2 => (own.0.wrapping_add(rng.random_range(-8..8)), own.1),
        _ => (rng.random(), rng.random()),
    };
    let mut bytes = length(16, rng);
    bytes.extend(80_877_102u32.to_be_bytes());
    bytes.extend(process.to_be_bytes());
    bytes.extend(secret.to_be_bytes());
    exchange(wire, bytes, rng)
}

/// A startup packet, a cancel or an encryption request, with something wrong.
fn startup(address: &Address, schema: &str, rng: &mut StdRng) -> Vec<u8> {
    let mut body = Vec::new();
    let codes = [196_608u32, 196_610, 196_609, 80_877_102, 80_877_103, 80_877_104, 131_072, rng.random()];
    body.extend_from_slice(&codes.choose(rng).copied().unwrap_or(196_608).to_be_bytes());
    let option = format!("-c search_path={schema}");
    let role = format!("-c role={schema}_owner");
    let owner = format!("{schema}_l_owner");
    let pairs: [(&str, &str); 11] = [
        ("user", &address.user),
        ("user", &owner),
        ("database", &address.database),
        ("database", schema),
        ("options", &option),
        ("options", &role),
        ("search_path", schema),
        ("replication", "database"),
        ("client_encoding", "GBK"),
        ("options", "-c client_encoding=SJIS -c standard_conforming_strings=off"),
        ("_pq_.x", "1"),
    ];
    for _ in 0..rng.random_range(0..6) {
        let (key, value) = pairs.choose(rng).copied().unwrap_or(("user", "x"));
        body.extend_from_slice(key.as_bytes());
        body.push(0);
        body.extend_from_slice(value.as_bytes());
        body.push(0);
    }
    if rng.random() {
        body.push(0);
    }
    let mut packet = length(body.len() + 4, rng);
    packet.extend(body);
    packet
}

/// Messages in any order, some damaged.
fn messages(schema: &str, rng: &mut StdRng) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..rng.random_range(1..8) {
        let sql = format!("SELECT * FROM {schema}.known_t");
        let mut message = match rng.random_range(0..6) {
            0 => simple(&sql),
            1 => extended(&sql),
            2 => extended("SELECT v FROM known_t"),
            // The victims have prepared it, in their sessions.
            3 => run_prepared(PREPARED),
            // Bytes that are no UTF-8, in a text.
            4 => simple_bytes(&[sql.as_bytes(), b" WHERE v = '", &rng.random::<[u8; 4]>(), b"'"].concat()),
            _ => {
                let body: Vec<u8> = (0..rng.random_range(0..40)).map(|_| rng.random()).collect();
                let mut message = vec![TAGS.choose(rng).copied().unwrap_or(b'Q')];
                message.extend(length(body.len() + 4, rng));
                message.extend(body);
                message
            }
        };
        for _ in 0..rng.random_range(0..4usize).saturating_sub(1) {
            let at = rng.random_range(0..message.len());
            message[at] = rng.random();
        }
        if rng.random_range(0..6) == 0 {
            message.truncate(rng.random_range(0..message.len()));
        }
        out.extend(message);
    }
    out
}

/// A length, right more often than not.
fn length(right: usize, rng: &mut StdRng) -> Vec<u8> {
    let right = u32::try_from(right).unwrap_or(u32::MAX);
    let wrong = [0, 3, right.wrapping_sub(1), right + 1, 0x7fff_ffff, u32::MAX];
    let said = if rng.random_range(0..4) == 0 { wrong.choose(rng).copied().unwrap_or(right) } else { right };
    said.to_be_bytes().to_vec()
}

/// A Query message of bytes.
fn simple_bytes(text: &[u8]) -> Vec<u8> {
    let mut message = vec![b'Q'];
    message.extend(u32::try_from(text.len() + 5).unwrap_or(u32::MAX).to_be_bytes());
    message.extend_from_slice(text);
    message.push(0);
    message
}
