//! What a run has found, by the walls that stood: read from the lines that the attacking process prints, and from its
//! report. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What one run of the attackers has found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Wall {
    /// `both walls`, `database alone`.
    pub(crate) wall: String,
    /// How long it has run.
    pub(crate) seconds: f64,
    /// Statements and garbled exchanges.
    pub(crate) statements: u64,
    /// Answers in which something of a victim stood.
    pub(crate) leaking_answers: u64,
    /// By attacker and class, in order.
    pub(crate) rows: Vec<WallRow>,
    /// How long a victim's statement took, the middle one, in milliseconds; known at the end.
    pub(crate) victim_p50_ms: Option<f64>,
    /// And of a hundred the slowest but one.
    pub(crate) victim_p99_ms: Option<f64>,
}

/// A class of attacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct WallRow {
    /// Who attacks: `generator`, `mutator`, `garbler`; `all` for what was disturbed.
    pub(crate) attacker: String,
    /// The class of its attacks.
    pub(crate) class: String,
    /// How many.
    pub(crate) attacks: u64,
    /// Distinct leaks.
    pub(crate) leaks: u64,
}

/// A line of progress.
#[derive(Deserialize)]
struct Line {
    wall: String,
    seconds: f64,
    statements: u64,
    leaking_answers: u64,
    attacks: BTreeMap<String, u64>,
    leaks: BTreeMap<String, u64>,
}

/// What is read of a report.
#[derive(Deserialize)]
struct Signed {
    report: Report,
}

#[derive(Deserialize)]
struct Report {
    walls: BTreeMap<String, Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    seconds: f64,
    statements: u64,
    leaking_answers: u64,
    attacks: BTreeMap<String, u64>,
    leaks: Vec<Leak>,
    victim_p50_ms: f64,
    victim_p99_ms: f64,
}

#[derive(Deserialize)]
struct Leak {
    attacker: String,
    class: String,
}

/// The walls once a line more was read. A line of no progress changes nothing.
pub(super) fn told(mut walls: Vec<Wall>, line: &str) -> Vec<Wall> {
    let Ok(line) = serde_json::from_str::<Line>(line) else { return walls };
    let wall = Wall {
        wall: line.wall,
        seconds: line.seconds,
        statements: line.statements,
        leaking_answers: line.leaking_answers,
        rows: rows(&line.attacks, &line.leaks),
        victim_p50_ms: None,
        victim_p99_ms: None,
    };
    match walls.iter_mut().find(|known| known.wall == wall.wall) {
        Some(known) => *known = wall,
        None => walls.push(wall),
    }
    walls
}

/// The walls of a report, in the order in which they were attacked, and how much leaked with all of them.
pub(super) fn reported(before: &[Wall], report: &str) -> Result<(Vec<Wall>, i64), serde_json::Error> {
    let Signed { report } = serde_json::from_str(report)?;
    let all = report.walls.get("both walls").map_or(0, |outcome| outcome.leaks.len());
    let mut walls: Vec<Wall> =
        report.walls.into_iter().map(|(wall, outcome)| closed(wall, &outcome)).collect();
    let place = |wall: &Wall| before.iter().position(|known| known.wall == wall.wall).unwrap_or(usize::MAX);
    walls.sort_by_key(place);
    Ok((walls, i64::try_from(all).unwrap_or(i64::MAX)))
}

fn closed(wall: String, outcome: &Outcome) -> Wall {
    let mut leaks = BTreeMap::new();
    for leak in &outcome.leaks {
        *leaks.entry(format!("{} / {}", leak.attacker, leak.class)).or_default() += 1;
    }
    Wall {
        wall,
        seconds: outcome.seconds,
        statements: outcome.statements,
        leaking_answers: outcome.leaking_answers,
        rows: rows(&outcome.attacks, &leaks),
        victim_p50_ms: Some(outcome.victim_p50_ms),
        victim_p99_ms: Some(outcome.victim_p99_ms),
    }
}

/// One row for each class that attacked, or that leaked without being one of attacks.
fn rows(attacks: &BTreeMap<String, u64>, leaks: &BTreeMap<String, u64>) -> Vec<WallRow> {
    let mut all: BTreeMap<&String, (u64, u64)> = attacks.iter().map(|(class, n)| (class, (*n, 0))).collect();
    for (class, count) in leaks {
        all.entry(class).or_default().1 = *count;
    }
    all.into_iter()
        .map(|(name, (attacks, leaks))| {
            let (attacker, class) = name.split_once(" / ").unwrap_or(("", name));
            WallRow { attacker: attacker.to_owned(), class: class.to_owned(), attacks, leaks }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_is_as_its_last_line_says() {
        let line = |wall: &str, n: u64| {
            format!(
                r#"{{"wall":"{wall}","seconds":{n}.5,"statements":{n},"leaking_answers":1,"attacks":{{"generator / relation":{n}}},"leaks":{{"generator / relation":1,"all / interference":2}}}}"#
            )
        };
        let mut walls = Vec::new();
        for text in [
            "seed 5, 3 tenants",
            &line("both walls", 3),
            &line("database alone", 1),
            &line("both walls", 9),
            "{}",
        ] {
            walls = told(walls, text);
        }
        assert_eq!(
            walls.iter().map(|w| (w.wall.as_str(), w.statements)).collect::<Vec<_>>(),
            [("both walls", 9), ("database alone", 1)]
        );
        let row = |attacker: &str, class: &str, attacks, leaks| WallRow {
            attacker: attacker.into(),
            class: class.into(),
            attacks,
            leaks,
        };
        assert_eq!(walls[0].rows, [row("all", "interference", 0, 2), row("generator", "relation", 9, 1)]);
    }

    #[test]
    fn a_report_says_what_leaked_with_all_walls() {
        let report = r#"{"report":{"walls":{
            "both walls":{"seconds":1.0,"statements":5,"leaking_answers":0,"attacks":{"mutator / corpus":5},"leaks":[],"victim_p50_ms":1.0,"victim_p99_ms":2.0},
            "database alone":{"seconds":1.0,"statements":5,"leaking_answers":1,"attacks":{},"leaks":[{"attacker":"mutator","class":"corpus"}],"victim_p50_ms":1.0,"victim_p99_ms":2.0}
        }},"key":"k","note":"n"}"#;
        let (walls, leaks) = reported(&[], report).unwrap();
        assert_eq!((walls.len(), leaks), (2, 0));
        assert_eq!(walls[1].rows[0].leaks, 1);
        assert!(reported(&[], "{}").is_err());
    }
}
