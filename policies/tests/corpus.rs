//! The corpora through wall 1 alone: what the proxy would refuse or permit before any server sees it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints its figures"
)]

use palisade_policies::{Judge, Limits, Namespace, Verdict, judge::PolicyError, read};

const OWN: &str = "t_aaaaaaaaaaaaaaaaaaaa";
const OTHER: &str = "t_bbbbbbbbbbbbbbbbbbbb";
/// Deep trees need a deep stack, as the proxy's own threads have.
const STACK: usize = 64 << 20;

fn namespace(kind: &str) -> Namespace {
    Namespace { kind: kind.into(), schema: OWN.into(), database: "acme".into(), shared: vec!["ext".into()] }
}

/// A corpus text with the placeholders of its README filled in.
fn filled(text: &str) -> String {
    let hex: String = OTHER.bytes().map(|b| format!("{b:02x}")).collect();
    [
        ("{SA}", "public"),
        ("{SB}", OTHER),
        ("{RA}", "t_aaaaaaaaaaaaaaaaaaaa_owner"),
        ("{RB}", "t_bbbbbbbbbbbbbbbbbbbb_owner"),
        ("{HEXSB}", hex.as_str()),
        ("{DB}", "acme"),
        ("{A}", "acme"),
        ("{B}", "globex"),
    ]
    .iter()
    .fold(with_oids(text), |text, (from, to)| text.replace(from, to))
}

/// `{OREL_users}` and its like are OIDs that a live server gives.
fn with_oids(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(start) = text.find("{O") {
        let Some(length) = text[start..].find('}') else { break };
        text.replace_range(start..=start + length, "16384");
    }
    text
}

/// The texts of one case in order: simple queries and Parse messages.
fn texts(case: &serde_json::Value) -> Vec<String> {
    let mut out = Vec::new();
    for step in case["steps"].as_array().into_iter().flatten() {
        let whose = step["as"].as_str().unwrap_or("A");
        if whose.starts_with('B') || whose == "admin" {
            continue;
        }
        out.extend(step.as_str().or(step["sql"].as_str()).map(filled));
        for message in step["msgs"].as_array().into_iter().flatten() {
            out.extend(message["sql"].as_str().map(filled));
        }
    }
    out
}

fn cases(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a corpus line is JSON")).collect()
}

fn verdict(judge: &Judge, text: &str) -> Verdict {
    let limits = Limits::default();
    match read::read(text, &limits) {
        Ok(reading) => judge.judge(text, &reading, &namespace("owner"), &limits),
        Err(error) => Verdict::Deny(Box::new(palisade_policies::Denial::from_read_error(error))),
    }
}

fn deep<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(work)
        .unwrap()
        .join()
        .expect("the work does not panic")
}

/// Cases that wall 1 leaves to wall 2: RESET, which returns to the pinned path, and names that a body computes at run
/// time.
const FOR_WALL_2: [&str; 6] = ["SP-016", "SP-017", "RO-011", "DY-002", "DY-006", "DY-013"];

#[test]
fn attacks_of_the_first_classes_are_refused_by_wall_1() -> Result<(), PolicyError> {
    let judge = Judge::embedded()?;
    deep(move || {
        let first = ["qualified-name", "search-path", "role-switch", "copy", "dynamic-sql"];
        let (mut refused, mut left, mut total) = (0, Vec::new(), 0);
        for case in cases(include_str!("../../bench/corpus/attacks.jsonl")) {
            if !first.contains(&case["class"].as_str().unwrap_or_default()) {
                continue;
            }
            total += 1;
            let id = case["id"].as_str().unwrap_or_default().to_owned();
            if texts(&case).iter().any(|text| matches!(verdict(&judge, text), Verdict::Deny(_))) {
                refused += 1;
            } else {
                left.push(id);
            }
        }
        println!("attacks refused by wall 1 alone: {refused} of {total}; left to wall 2: {left:?}");
        let unexpected: Vec<_> = left.iter().filter(|id| !FOR_WALL_2.contains(&id.as_str())).collect();
        assert!(unexpected.is_empty(), "wall 1 let these through: {unexpected:?}");
    });
    Ok(())
}

#[test]
fn no_permitted_text_names_the_other_tenant() -> Result<(), PolicyError> {
    let judge = Judge::embedded()?;
    deep(move || {
        for case in cases(include_str!("../../bench/corpus/attacks.jsonl")) {
            for text in texts(&case) {
                let limits = Limits::default();
                let Ok(reading) = read::read(&text, &limits) else { continue };
                if let Verdict::Permit(_) = judge.judge(&text, &reading, &namespace("owner"), &limits) {
                    let foreign = reading
                        .statements
                        .iter()
                        .flat_map(|s| &s.accesses)
                        .find(|a| a.schema.as_deref() == Some(OTHER));
                    assert!(foreign.is_none(), "{}: {text}", case["id"]);
                }
            }
        }
    });
    Ok(())
}

#[test]
fn benign_statements_are_permitted() -> Result<(), PolicyError> {
    let judge = Judge::embedded()?;
    deep(move || {
        let (mut permitted, mut refused, mut total) = (0, Vec::new(), 0);
        for case in cases(include_str!("../../bench/corpus/benign.jsonl")) {
            total += 1;
            let denial = texts(&case).iter().find_map(|text| match verdict(&judge, text) {
                Verdict::Deny(denial) => Some(denial),
                Verdict::Permit(_) => None,
            });
            match denial {
                None => permitted += 1,
                Some(denial) => refused.push(format!(
                    "{} {}: {} ({})",
                    case["id"].as_str().unwrap_or_default(),
                    denial.verb,
                    denial.message,
                    denial.object.unwrap_or_default()
                )),
            }
        }
        println!("benign cases permitted by wall 1: {permitted} of {total}; refused:");
        refused.iter().for_each(|line| println!("  {line}"));
        assert!(permitted * 100 >= total * 95, "{permitted} of {total}");
    });
    Ok(())
}
