//! The two readers over a small sample of our own: what each reads, and what follows. Over corpora:
//! `bench/differential/run.sh`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use palisade_policies::{Judge, Limits, Namespace, Reason, Verdict, read};

/// What both readers and the policy say of a text.
fn said(judge: &Judge, text: &str) -> &'static str {
    let limits = Limits::default();
    let namespace =
        Namespace { kind: "owner".into(), schema: "t_a".into(), database: "acme".into(), shared: Vec::new() };
    let reading = match read::read(text, &limits) {
        Ok(reading) => reading,
        Err(error) if error.reason == Reason::SyntaxError => return "refused by the grammar",
        Err(error) if error.reason == Reason::ReadersDisagree => return "read in two ways, refused",
        Err(_) => return "not understood",
    };
    assert_eq!(reading.witnessed, read::witness_reads(text, &limits), "{text}");
    match (judge.judge(text, &reading, &namespace, &limits), reading.witnessed) {
        (Verdict::Deny(_), _) => "refused by policy",
        (Verdict::Permit(_), true) => "both, permitted",
        (Verdict::Permit(_), false) => "grammar alone, permitted",
    }
}

#[test]
fn each_statement_of_the_sample_is_read_as_its_group_says() {
    let judge = Judge::embedded().unwrap();
    let (mut group, mut wrong) = ("", Vec::new());
    for line in include_str!("sample.sql").lines().filter(|line| !line.starts_with("-- ")) {
        if let Some(name) = line.strip_prefix("# ") {
            group = name;
        } else {
            let said = said(&judge, line);
            if said != group {
                wrong.push(format!("{line}: {said}, not {group}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
