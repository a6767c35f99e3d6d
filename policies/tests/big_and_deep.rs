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
        ("plus, 1,000", chain(1_000, "+1"), End::Permitted),
        ("plus, 2,400", chain(2_400, "+1"), End::Permitted),
        ("plus, 20,000", chain(20_001, "+1"), End::Refused("54001")),
        ("plus, 9,000", chain(9_000, "+1"), End::Refused("54001")),
        ("text put together, 2,000", chain(2_000, " || 'a'"), End::Permitted),
        ("casts, 2,000", chain(2_000, "::int"), End::Permitted),
        ("NOT, 2,000", format!("SELECT {} true", "NOT ".repeat(2_000)), End::Permitted),
        ("joins, 1,000", format!("SELECT 1 FROM t{}", " JOIN t ON true".repeat(1_000)), End::Permitted),
        ("unions, 2,000", chain(2_000, " UNION SELECT 1"), End::Permitted),
        ("subqueries, 500", format!("SELECT {}1{}", "(SELECT ".repeat(500), ")".repeat(500)), End::Permitted),
        ("calls, 1,000", format!("SELECT {}1{}", "abs(".repeat(1_000), ")".repeat(1_000)), End::Permitted),
        (
            "cases, 500",
            format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(500), " END".repeat(500)),
            End::Permitted,
        ),
        (
            "rows within rows, 1,000",
            format!("SELECT {}1{}", "ROW(".repeat(1_000), ")".repeat(1_000)),
            End::Permitted,
        ),
        ("arrays, 1,000", format!("SELECT {}1{}", "ARRAY[".repeat(1_000), "]".repeat(1_000)), End::Permitted),
        (
            "WITH within WITH, 300",
            format!("{}SELECT 1{}", "WITH a AS (".repeat(300), ") SELECT 1".repeat(300)),
            End::Permitted,
        ),
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

/// What a thread has where nobody asked for more, in bytes.
const SMALL_STACK: usize = 2 << 20;

#[test]
fn texts_that_are_read_on_the_callers_stack_fit_a_small_one() {
    let texts = [1, 10, 20, 29, 30, 40, 58, 59, 60, 61, 100, 1_000].into_iter().flat_map(|n| {
        [
            format!("SELECT 1{}", "+1".repeat(n)),
            format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n)),
            format!("SELECT {}1{}", "abs(".repeat(n), ")".repeat(n)),
            format!("SELECT 1{}", " UNION SELECT 1".repeat(n)),
            format!("SELECT 1 FROM t{}", " JOIN t ON true".repeat(n)),
            format!("{}SELECT 1{}", "WITH a AS (".repeat(n), ") SELECT 1".repeat(n)),
            format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(n), " END".repeat(n)),
            format!("SELECT * FROM {}t{}", "(SELECT * FROM ".repeat(n), ") AS t".repeat(n)),
        ]
    });
    let thread = std::thread::Builder::new().stack_size(SMALL_STACK);
    let done =
        thread.spawn(move || texts.filter(|text| read::read(text, &Limits::default()).is_ok()).count());
    assert!(done.unwrap().join().unwrap() > 80);
}
