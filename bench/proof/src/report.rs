//! What was attacked, how often, with which seed, and what leaked; signed, so that it can be handed on.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use palisade_trail::{Key, PublicKey};
use serde::{Deserialize, Serialize};

use crate::twin::Compared;
use sha2::{Digest, Sha256};

/// One thing that must not have happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// Who found it.
    pub attacker: String,
    /// The class of the attack.
    pub class: String,
    /// What came back: `row`, `comment`, `source`, `label`, `name`, `schema`, `slug`.
    pub kinds: Vec<String>,
    /// What stood around it in the answer.
    #[serde(default)]
    pub answer: String,
    /// When, from the run's beginning.
    pub after_seconds: f64,
    /// The smallest statement that does it; bytes in hexadecimal for the protocol; words for what was disturbed.
    pub reproducer: String,
}

impl Leak {
    pub(crate) fn fault(what: &str, after_seconds: f64) -> Self {
        Self {
            attacker: "all".into(),
            class: "interference".into(),
            kinds: Vec::new(),
            answer: String::new(),
            after_seconds,
            reproducer: what.to_owned(),
        }
    }
}

/// What one run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How long it took.
    pub seconds: f64,
    /// Statements and garbled exchanges.
    pub statements: u64,
    /// How many a second.
    pub statements_per_second: f64,
    /// Answers, of several statements each, in which something of a victim stood.
    pub leaking_answers: u64,
    /// How many by attacker and class.
    pub attacks: BTreeMap<String, u64>,
    /// What leaked, each once.
    pub leaks: Vec<Leak>,
    /// How long a victim's statement took, the middle one.
    pub victim_p50_ms: f64,
    /// And of a hundred the slowest but one.
    pub victim_p99_ms: f64,
}

impl Outcome {
    /// A run that ended before it began: a new tenant had what another has.
    pub(crate) fn shared(what: &str) -> Self {
        Self {
            seconds: 0.0,
            statements: 0,
            statements_per_second: 0.0,
            leaking_answers: 1,
            attacks: BTreeMap::new(),
            leaks: vec![Leak::fault(what, 0.0)],
            victim_p50_ms: 0.0,
            victim_p99_ms: 0.0,
        }
    }
}

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When the run ended (RFC 3339).
    pub made_at: String,
    /// Version of the suite.
    pub suite: String,
    /// What was attacked: the versions that it says.
    pub target: String,
    /// The policy in force.
    pub policy_epoch: Option<u64>,
    /// The seed.
    pub seed: u64,
    /// How many tenants, the attacker included.
    pub tenants: usize,
    /// Somebody ended the test before its time was over.
    #[serde(default)]
    pub interrupted: bool,
    /// What was found, by the walls that stood: `both walls`, `database alone`.
    pub walls: BTreeMap<String, Outcome>,
    /// A tenant's answers beside those of a private database, where that was wished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<Compared>,
}

impl Report {
    /// What leaked with all walls that the installation has.
    #[must_use]
    pub fn leaks(&self) -> usize {
        self.walls.get("both walls").map_or(0, |outcome| outcome.leaks.len())
    }
}

/// A report as it is written: with a note that its key has signed.
#[derive(Serialize, Deserialize)]
struct Signed {
    report: serde_json::Value,
    key: String,
    note: String,
}

/// The bytes that are signed. Maps are sorted, so a reader gets the same.
fn digest(report: &serde_json::Value) -> String {
    let text = report.to_string();
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The report as JSON, signed.
///
/// # Errors
/// Never for a report of this crate.
pub fn signed(report: &Report, key: &Key) -> Result<String> {
    let report = serde_json::to_value(report)?;
    // As a reader of the text has it: numbers as they are read back.
    let report: serde_json::Value = serde_json::from_str(&report.to_string())?;
    let note = key.note(&format!("palisade leak-test report\nsha256 {}\n", digest(&report)))?;
    let signed = Signed { report, key: key.public().text().to_owned(), note };
    Ok(serde_json::to_string_pretty(&signed)? + "\n")
}

/// A report whose signature holds.
#[derive(Debug)]
pub struct Verified {
    /// What it says.
    pub report: Report,
    /// Who signed.
    pub key: String,
}

/// Reads a signed report. Without a key of one's own the report's is taken at its word.
///
/// # Errors
/// A text that is no report, a signature of another key, or a report that was changed after it was signed.
pub fn verify(text: &str, key: Option<&str>) -> Result<Verified> {
    let signed: Signed = serde_json::from_str(text).context("this is no report of palisade leak-test")?;
    let key = PublicKey::parse(key.unwrap_or(&signed.key))?;
    let note = key.open(&signed.note)?;
    if !note.lines().any(|line| line == format!("sha256 {}", digest(&signed.report))) {
        bail!("the report was changed after it was signed");
    }
    Ok(Verified { report: serde_json::from_value(signed.report)?, key: key.text().to_owned() })
}

/// The report as a page.
#[must_use]
pub fn html(report: &Report) -> String {
    let row = |leak: &Leak| format!("{} / {}", leak.attacker, leak.class);
    let runs = || report.walls.values();
    let mut classes: Vec<String> = runs().flat_map(|outcome| outcome.attacks.keys().cloned()).collect();
    // Statements that leak only together, and what was disturbed, are no class of attacks.
    classes.extend(runs().flat_map(|outcome| outcome.leaks.iter().map(row)));
    classes.sort();
    classes.dedup();
    let mut matrix = String::new();
    for class in classes {
        let cells: String = report
            .walls
            .values()
            .map(|outcome| {
                let leaks = outcome.leaks.iter().filter(|leak| row(leak) == class).count();
                let done = outcome.attacks.get(&class).copied().unwrap_or_default();
                format!("<td class=\"{}\">{leaks} of {done}</td>", if leaks == 0 { "good" } else { "bad" })
            })
            .collect();
        matrix.push_str(&format!("<tr><th>{}</th>{cells}</tr>\n", safe(&class)));
    }
    let heads: String = report.walls.keys().map(|wall| format!("<th>{}</th>", safe(wall))).collect();
    let mut leaks = String::new();
    for (wall, outcome) in &report.walls {
        for leak in &outcome.leaks {
            leaks.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1} s</td><td><pre>{}</pre></td><td><pre>{}</pre></td></tr>\n",
                safe(wall),
                safe(&leak.attacker),
                safe(&leak.class),
                safe(&leak.kinds.join(", ")),
                leak.after_seconds,
                safe(&leak.reproducer),
                safe(&leak.answer)
            ));
        }
    }
    let runs: String = report
        .walls
        .iter()
        .map(|(wall, o)| {
            format!(
                "<tr><th>{}</th><td>{}</td><td>{:.0} s</td><td>{:.0}</td><td>{:.1} ms</td><td>{:.1} ms</td></tr>",
                safe(wall), o.statements, o.seconds, o.statements_per_second, o.victim_p50_ms, o.victim_p99_ms
            )
        })
        .collect();
    let verdict = verdict(report);
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">
<title>Palisade leak test</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}}table{{border-collapse:collapse;width:100%;margin:1rem 0}}
th,td{{border:1px solid #999;padding:.3rem .6rem;text-align:left;vertical-align:top}}pre{{white-space:pre-wrap;margin:0}}.good{{background:#dff3df}}.bad{{background:#f8d7d7}}
@media (prefers-color-scheme:dark){{body{{background:#111;color:#eee}}.good{{background:#143d14}}.bad{{background:#5a1a1a}}}}</style>
<h1>Palisade leak test</h1><p><strong>{verdict}</strong></p>
<p>{} · {} · policy epoch {} · {} tenants · seed {} · suite {}</p>
<h2>Runs</h2><table><tr><th>walls</th><th>statements</th><th>time</th><th>a second</th><th>victim's median</th><th>victim's 99th percentile</th></tr>{runs}</table>
<h2>Attacks and leaks</h2><p>How many distinct leaks, of how many attacks.</p><table><tr><th>attacker and class</th>{heads}</tr>{matrix}</table>
<h2>Leaks</h2><table><tr><th>walls</th><th>attacker</th><th>class</th><th>what came back</th><th>after</th><th>reproducer</th><th>answer</th></tr>{leaks}</table>{}</html>\n",
        safe(&report.made_at),
        safe(&report.target),
        report.policy_epoch.map_or("unknown".to_owned(), |epoch| epoch.to_string()),
        report.tenants,
        report.seed,
        safe(&report.suite),
        report.twin.as_ref().map(beside).unwrap_or_default(),
    )
}

fn verdict(report: &Report) -> String {
    match report.leaks() {
        0 if report.interrupted => {
            "Interrupted: nothing of a victim came back until then, and none was changed or disturbed."
                .to_owned()
        }
        0 => "Nothing of a victim came back, and none was changed or disturbed.".to_owned(),
        1 => "1 leak.".to_owned(),
        many => format!("{many} leaks."),
    }
}

fn safe(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A tenant's answers beside those of a private database.
fn beside(twin: &Compared) -> String {
    let known: String = twin
        .known
        .iter()
        .map(|(reason, times)| format!("<tr><td>{times}</td><td>{}</td></tr>\n", safe(reason)))
        .collect();
    let others: String = twin
        .differences
        .iter()
        .map(|d| {
            format!(
                "<tr><td>{}</td><td><pre>{}</pre></td><td><pre>{}</pre></td><td><pre>{}</pre></td></tr>\n",
                safe(&d.class),
                safe(&d.statement),
                safe(&d.palisade),
                safe(&d.private)
            )
        })
        .collect();
    format!(
        "<h2>Beside a private database</h2><p>{} statements, {} equal answers, {} others.</p>
<table><tr><th>times</th><th>known difference</th></tr>{known}</table>
<table><tr><th>class</th><th>statement</th><th>Palisade</th><th>private database</th></tr>{others}</table>",
        twin.statements, twin.equal, twin.unknown
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn report() -> Report {
        let outcome = Outcome {
            seconds: 10.25,
            statements: 100,
            statements_per_second: 9.7,
            leaking_answers: 1,
            attacks: BTreeMap::from([("generator / relation".into(), 100)]),
            leaks: vec![Leak {
                attacker: "generator".into(),
                class: "relation".into(),
                kinds: vec!["row".into()],
                answer: "D <row>".into(),
                after_seconds: 0.1,
                reproducer: "SELECT <x>".into(),
            }],
            victim_p50_ms: 1.0,
            victim_p99_ms: 2.0,
        };
        Report {
            made_at: "2026-11-23T00:00:00Z".into(),
            suite: "0.1.0".into(),
            target: "PostgreSQL 15".into(),
            policy_epoch: Some(1),
            seed: 7,
            tenants: 2,
            interrupted: false,
            walls: BTreeMap::from([("both walls".into(), outcome)]),
            twin: None,
        }
    }

    #[test]
    fn a_report_holds_until_it_is_changed() {
        let key = Key::new("palisade/leak-test", &[3; 32]).unwrap();
        let text = signed(&report(), &key).unwrap();
        let verified = verify(&text, Some(key.public().text())).unwrap();
        assert_eq!((verified.report, verified.key.as_str()), (report(), key.public().text()));
        let changed = text.replace("\"leaking_answers\": 1", "\"leaking_answers\": 0");
        assert!(verify(&changed, None).unwrap_err().to_string().contains("changed"));
        let other = Key::new("palisade/leak-test", &[4; 32]).unwrap();
        assert!(verify(&text, Some(other.public().text())).is_err());
        assert!(verify("{}", None).is_err());
    }

    #[test]
    fn the_page_shows_what_leaked() {
        let page = html(&report());
        assert!(
            page.contains("1 leak.")
                && page.contains("SELECT &lt;x&gt;")
                && page.contains("D &lt;row&gt;")
                && page.contains("1 of 100")
        );
        let (mut cut_short, mut whole) = (report(), report());
        for report in [&mut cut_short, &mut whole] {
            report.walls.values_mut().for_each(|outcome| outcome.leaks.clear());
        }
        cut_short.interrupted = true;
        assert!(html(&cut_short).contains("Interrupted: ") && !html(&whole).contains("Interrupted"));
    }
}
