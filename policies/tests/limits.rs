//! Big and deep texts are answered or refused, in bounded time, on the stack that the proxy gives its readers.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints its figures"
)]

use std::time::{Duration, Instant};

use palisade_policies::{Judge, Limits, Namespace, Verdict, read};

/// What the proxy's reader threads have, in bytes.
const STACK: usize = 64 << 20;
/// Longest time for one text, generous for a build without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

/// How a text must end.
#[derive(Clone, Copy)]
enum End {
    Permitted,
    Refused(&'static str),
}

fn answer(text: &str) -> Result<(), &'static str> {
    let limits = Limits::default();
    let namespace =
        Namespace { kind: "app".into(), schema: "t_a".into(), database: "acme".into(), shared: Vec::new() };
    let reading = read::read(text, &limits).map_err(|e| e.sqlstate)?;
    match Judge::embedded().unwrap().judge(text, &reading, &namespace, &limits) {
        Verdict::Permit(_) => Ok(()),
        Verdict::Deny(denial) => Err(denial.sqlstate),
    }
}

#[test]
fn big_and_deep_texts_follow_the_table() {
    let list = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    let rows = |n: usize| vec!["(1,'a')"; n].join(",");
    let nested = |n: usize| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n));
    let chain = |n: usize, with: &str| format!("SELECT 1{}", with.repeat(n));
    let padded = |n: usize| format!("SELECT '{}'", "x".repeat(n - 9));
    let cases = [
        ("nested parentheses, 10,000", nested(10_000), End::Refused("54001")),
        ("nested parentheses, 100,000", nested(100_000), End::Refused("54001")),
        (
            "a list of 100,000",
            format!("SELECT * FROM public.t WHERE a IN ({})", list(100_000)),
            End::Permitted,
        ),
        ("an INSERT of 10,000 rows", format!("INSERT INTO public.t VALUES {}", rows(10_000)), End::Permitted),
        (
            "an INSERT of 100,000 rows",
            format!("INSERT INTO t VALUES {}", rows(100_000)),
            End::Refused("54001"),
        ),
        ("AND, 5,000", chain(5_000, " AND true").replacen('1', "true", 1), End::Permitted),
        ("a text of 1 MiB", padded(1 << 20), End::Permitted),
        ("a text of 1 MiB and a byte", padded((1 << 20) + 1), End::Refused("54001")),
        ("1,000 statements", "SELECT 1;".repeat(1_000), End::Permitted),
        ("1,001 statements", "SELECT 1;".repeat(1_001), End::Refused("54000")),
        ("a run of 40,000 operator characters", "/*".repeat(20_000), End::Refused("54001")),
        ("minus signs, 1 MiB", "- ".repeat(1 << 19), End::Refused("54001")),
        ("quotes, 1 MiB", "'".repeat((1 << 20) - 1), End::Refused("42601")),
        ("nested comments", "/*/ ".repeat(1 << 17), End::Refused("54001")),
        ("dots, 1 MiB", format!("SELECT {}", "a.".repeat(1 << 18)), End::Refused("54001")),
    ];
    let thread = std::thread::Builder::new().stack_size(STACK);
    let done = thread.spawn(move || {
        for (name, text, end) in &cases {
            let start = Instant::now();
            let got = answer(text);
            let took = start.elapsed();
            println!("{name}: {} bytes, {got:?}, {took:?}", text.len());
            match end {
                End::Permitted => assert_eq!(got, Ok(()), "{name}"),
                End::Refused(sqlstate) => assert_eq!(got, Err(*sqlstate), "{name}"),
            }
            assert!(took < LONGEST, "{name} took {took:?}");
        }
    });
    done.unwrap().join().unwrap();
}
