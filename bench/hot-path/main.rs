//! What a statement costs on its way through the proxy, in nanoseconds: `cargo bench -p palisade-bench`. The verdict's
//! look-up, reading and judging a text that nobody has seen, walking through a result.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use palisade_proxy::measured::{LookUp, Record, scan};
use palisade_wire::frame::message;

/// 50 bytes.
const SHORT: &str = "SELECT id, name, total FROM orders WHERE id = $1  ";

/// As an ORM writes it.
const ORM: &str = "SELECT \"orders\".\"id\", \"orders\".\"customer_id\", \"orders\".\"total\", \"orders\".\"created_at\", \
    \"customers\".\"id\", \"customers\".\"name\", \"customers\".\"email\" FROM \"orders\" INNER JOIN \"customers\" ON \
    (\"orders\".\"customer_id\" = \"customers\".\"id\") WHERE (\"orders\".\"total\" >= $1 AND \"customers\".\"email\" LIKE $2) \
    ORDER BY \"orders\".\"created_at\" DESC LIMIT 21";

fn verdicts(c: &mut Criterion) {
    let mut group = c.benchmark_group("verdict");
    let known = LookUp::new(64 << 20).unwrap();
    let _ = (known.parse(SHORT), known.parse(ORM), known.query("SELECT a FROM t WHERE id = 1 AND b = 'x'"));
    group.bench_function("known, 50 bytes", |b| b.iter(|| assert!(known.parse(black_box(SHORT)))));
    group.bench_function("known, ORM", |b| b.iter(|| assert!(known.parse(black_box(ORM)))));
    let mut number = 0_u64;
    group.bench_function("simple query with new constants", |b| {
        b.iter(|| {
            number += 1;
            let text = format!("SELECT a FROM t WHERE id = {} AND b = 'x{number}'", number % 1_000_000);
            assert!(known.query(black_box(&text)));
        });
    });
    // Each text is new: a name of its own. The cache keeps few, as for a client whose texts never come again.
    let cold = LookUp::new(1 << 16).unwrap();
    group.bench_function("read and judged, ORM", |b| {
        b.iter(|| {
            number += 1;
            assert!(!cold.parse(&ORM.replacen(
                "\"orders\".\"id\"",
                &format!("\"orders\".\"id{number}\""),
                1
            )));
        });
    });
    group.bench_function("read and judged, 50 bytes", |b| {
        b.iter(|| {
            number += 1;
            assert!(!cold.parse(&SHORT.replacen("id", &format!("id{number}"), 1)));
        });
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frames");
    let row: Vec<u8> = [&3_u16.to_be_bytes()[..], b"\0\0\0\x051234567890ABCDEFGHIJ"].concat();
    let mut result = message(b'T', &[0; 80]);
    for _ in 0..10_000 {
        result.extend(message(b'D', &row));
    }
    result.extend(message(b'C', b"SELECT 10000\0"));
    result.extend(message(b'Z', b"I"));
    assert_eq!(scan(&result, 1).unwrap(), Some((10_003, true)));
    group.throughput(Throughput::Elements(10_003));
    group.bench_function("10,000 rows", |b| b.iter(|| scan(black_box(&result), 1).unwrap()));
    group.finish();
}

fn audit(c: &mut Criterion) {
    let folder = std::env::temp_dir().join(format!("palisade-bench-spool-{}", std::process::id()));
    let record = Record::new(&folder, SHORT).unwrap();
    let mut group = c.benchmark_group("audit");
    group.bench_function("a statement is left to the writer", |b| {
        b.iter_custom(|times| {
            let (mut taken, mut left) = (Duration::ZERO, times);
            while left > 0 {
                // What the writer does with them is not what a session pays.
                let some = left.min(512);
                let begin = Instant::now();
                for _ in 0..some {
                    assert!(record.leave());
                }
                taken += begin.elapsed();
                left -= some;
                while !record.written() {
                    std::thread::sleep(Duration::from_micros(500));
                }
            }
            taken
        });
    });
    group.finish();
    let _ = std::fs::remove_dir_all(folder);
}

criterion_group!(hot_path, verdicts, frames, audit);
criterion_main!(hot_path);
