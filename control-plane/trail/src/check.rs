//! What is wrong with a log, by name.

use std::collections::HashMap;
use std::fmt;

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::canonical::leaf;
use crate::checkpoint::{Checkpoint, CheckpointError, PublicKey};
use crate::merkle::{Hash, Tree};

/// The action of a tombstone: an event that says what was deleted by rule.
pub const RETIRE: &str = "audit.retire";

/// Most faults that are named; more are counted.
const MOST_FAULTS: usize = 1_000;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 0.
    pub number: u64,
    /// The leaf's hash that was kept with it.
    pub leaf: Hash,
    /// The event; `None` where it was deleted by rule.
    pub event: Option<Value>,
    /// The id of the event that says so, a tombstone.
    pub retired: Option<String>,
}

/// Events that were deleted by rule, as their tombstone speaks of them.
#[derive(Debug, Clone, Default)]
pub struct Retired {
    /// The first number.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// How many.
    pub count: u64,
    leaves: Sha256,
}

impl Retired {
    /// One more, in the order of the numbers.
    pub fn add(&mut self, number: u64, leaf: &Hash) {
        if self.count == 0 {
            self.first = number;
        }
        self.last = number;
        self.count += 1;
        self.leaves.update(leaf);
    }

    /// SHA-256 of the leaves, in hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> String {
        HEXLOWER.encode(&self.leaves.clone().finalize())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Events are missing between others.
    Removed {
        /// The first number that is missing.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Events were deleted, and no event of the log says by which rule, or it speaks of others.
    Untold {
        /// The first number.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A number that stands there twice, or behind a higher one.
    Inserted {
        /// The number.
        number: u64,
    },
    /// An event is not the one that its hash was made of.
    Changed {
        /// Its number.
        number: u64,
        /// Its id as it stands there now.
        id: String,
    },
    /// Two events stand in each other's place.
    Reordered {
        /// One place.
        number: u64,
        /// The other.
        with: u64,
    },
    /// Hashes were changed along with events: what is between two checkpoints is not what was signed.
    Rewritten {
        /// The first number that may be another.
        from: u64,
        /// The last.
        to: u64,
    },
    /// The newest events are missing: a checkpoint knows more.
    Cut {
        /// The first number that is missing.
        from: u64,
        /// The last that a checkpoint knows of.
        to: u64,
    },
    /// A checkpoint that was not signed by the log's key.
    Forged {
        /// Why.
        error: CheckpointError,
    },
    /// Events that have no number although others that came later have one.
    Unnumbered {
        /// How many.
        count: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |f: &mut fmt::Formatter<'_>, word: &str, from: &u64, to: &u64| match from == to {
            true => write!(f, "event {from} {word}"),
            false => write!(f, "events {from} to {to} {word}"),
        };
        match self {
            Self::Removed { from, to } => range(f, "removed", from, to),
            Self::Untold { from, to } => range(f, "removed without a tombstone that says so", from, to),
            Self::Inserted { number } => write!(f, "event {number} inserted: its number was there already"),
            Self::Changed { number, id } => write!(f, "event {number} ({id}) changed"),
            Self::Reordered { number, with } => {
                write!(f, "events {number} and {with} reordered: each stands in the other's place")
            }
            Self::Rewritten { from, to } => range(f, "rewritten: not what was signed", from, to),
            Self::Cut { from, to } => range(f, "cut off: a checkpoint knows of more", from, to),
            Self::Forged { error } => write!(f, "a checkpoint is forged: {error}"),
            Self::Unnumbered { count } => write!(f, "{count} events inserted without a number"),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// How many events were looked at.
    pub events: u64,
    /// How many of them are covered by a checkpoint that holds.
    pub signed: u64,
    /// How many checkpoints hold.
    pub checkpoints: u64,
    /// What is wrong, the first [`MOST_FAULTS`].
    pub faults: Vec<Fault>,
    /// How many more are wrong.
    pub more: u64,
}

/// Checks a log row by row, in the order of the numbers.
pub struct Checker {
    key: PublicKey,
    tree: Tree,
    next: u64,
    /// Whether the tree can still be compared: no event is missing so far.
    whole: bool,
    /// The last number up to which a checkpoint holds.
    signed: u64,
    /// The largest size that a checkpoint speaks of.
    known: u64,
    /// Checkpoints ahead of the rows, by size.
    ahead: HashMap<u64, Checkpoint>,
    /// What was deleted by rule, by its tombstone's id.
    retired: HashMap<String, Retired>,
    /// Tombstones that were seen, by id.
    tombstones: HashMap<String, Value>,
    /// The tree of what was deleted by rule before the first row.
    from: (u64, Hash),
    /// Events that are not those of their hashes.
    strange: Vec<(u64, Hash, Value)>,
    report: Report,
}

impl Checker {
    /// A log that is checked by its key; `from` is the tree of what was deleted by rule before it, or an empty one.
    #[must_use]
    pub fn new(key: PublicKey, from: Tree) -> Self {
        let next = from.size();
        Self {
            key,
            retired: HashMap::new(),
            tombstones: HashMap::new(),
            from: (next, from.root()),
            tree: from,
            next,
            whole: true,
            signed: next,
            known: next,
            ahead: HashMap::new(),
            strange: Vec::new(),
            report: Report::default(),
        }
    }

    /// A checkpoint, from the log itself or kept elsewhere. It may come before or behind its rows.
    pub fn checkpoint(&mut self, note: &str) {
        match self.key.checkpoint(note) {
            Ok(checkpoint) if checkpoint.size > self.next => {
                self.known = self.known.max(checkpoint.size);
                if let Some(other) = self.ahead.insert(checkpoint.size, checkpoint.clone())
                    && other.root != checkpoint.root
                {
                    self.fault(Fault::Rewritten { from: self.signed, to: checkpoint.size - 1 });
                }
            }
            Ok(checkpoint) if checkpoint.size == self.next => self.compare(&checkpoint),
            // The tree has gone on: what is before it is held to the checkpoints that follow.
            Ok(_) => {}
            Err(error) => self.fault(Fault::Forged { error }),
        }
    }

    /// The next row.
    pub fn row(&mut self, row: Row) {
        self.report.events += 1;
        if row.number < self.next {
            return self.fault(Fault::Inserted { number: row.number });
        }
        if row.number > self.next {
            self.fault(Fault::Removed { from: self.next, to: row.number - 1 });
            self.whole = false;
        }
        match row.event {
            Some(event) if leaf(row.number, &event) != row.leaf => {
                self.strange.push((row.number, row.leaf, event));
            }
            Some(mut event) if event["action"] == RETIRE => {
                let id = event["id"].as_str().unwrap_or_default().to_owned();
                self.tombstones.insert(id, event["detail"].take());
            }
            Some(_) => {}
            None => {
                self.retired.entry(row.retired.unwrap_or_default()).or_default().add(row.number, &row.leaf)
            }
        }
        self.tree.push(row.leaf);
        self.next = row.number + 1;
        if let Some(checkpoint) = self.ahead.remove(&self.next) {
            self.compare(&checkpoint);
        }
    }

    /// Events without a number that are older than numbered ones.
    pub fn unnumbered(&mut self, count: u64) {
        if count > 0 {
            self.fault(Fault::Unnumbered { count });
        }
    }

    /// Everything was seen.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let strange = std::mem::take(&mut self.strange);
        let mut paired = vec![false; strange.len()];
        for one in 0..strange.len().min(MOST_FAULTS) {
            if paired[one] {
                continue;
            }
            let (number, kept, event) = &strange[one];
            let other = (one + 1..strange.len().min(MOST_FAULTS)).find(|&other| {
                let (there, kept_there, event_there) = &strange[other];
                leaf(*there, event) == *kept_there && leaf(*number, event_there) == *kept
                    || leaf(*there, event) == *kept && leaf(*number, event_there) == *kept_there
            });
            if let Some(other) = other {
                paired[other] = true;
                self.fault(Fault::Reordered { number: *number, with: strange[other].0 });
            } else {
                let id = event["id"].as_str().unwrap_or("without id").to_owned();
                self.fault(Fault::Changed { number: *number, id });
            }
        }
        self.report.more += strange.len().saturating_sub(MOST_FAULTS) as u64;
        self.untold();
        if self.known > self.next {
            self.fault(Fault::Cut { from: self.next, to: self.known - 1 });
        }
        self.report.signed = self.signed;
        self.report
    }

    /// What was deleted must be what a tombstone speaks of.
    fn untold(&mut self) {
        let (size, root) = self.from;
        let root = HEXLOWER.encode(&root);
        let told = |t: &Value| t["until"].as_u64() == Some(size) && t["root"] == root.as_str();
        if size > 0 && !self.tombstones.values().any(told) {
            self.fault(Fault::Untold { from: 0, to: size - 1 });
        }
        let mut retired: Vec<_> = std::mem::take(&mut self.retired).into_iter().collect();
        retired.sort_by_key(|(_, gone)| gone.first);
        for (id, gone) in retired {
            let tombstone = self.tombstones.get(&id);
            if !tombstone.is_some_and(|t| {
                t["count"].as_u64() == Some(gone.count) && t["digest"] == gone.digest().as_str()
            }) {
                self.fault(Fault::Untold { from: gone.first, to: gone.last });
            }
        }
    }

    fn compare(&mut self, checkpoint: &Checkpoint) {
        if !self.whole {
            return;
        }
        if self.tree.root() == checkpoint.root {
            self.signed = checkpoint.size;
            self.report.checkpoints += 1;
        } else {
            // Once: behind it every root is another.
            self.fault(Fault::Rewritten { from: self.signed, to: checkpoint.size.saturating_sub(1) });
            self.whole = false;
        }
    }

    fn fault(&mut self, fault: Fault) {
        if self.report.faults.len() < MOST_FAULTS {
            self.report.faults.push(fault);
        } else {
            self.report.more += 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::checkpoint::Key;
    use serde_json::json;

    /// Ten events with a checkpoint behind the fourth, the eighth and the tenth.
    fn log() -> (PublicKey, Vec<Row>, Vec<String>) {
        let key = Key::new("palisade/audit/x", &[7; 32]).unwrap();
        let (mut tree, mut rows, mut notes) = (Tree::default(), Vec::new(), Vec::new());
        for number in 0..10u64 {
            let event = json!({ "id": format!("e{number}"), "action": "login" });
            let leaf = leaf(number, &event);
            tree.push(leaf);
            rows.push(Row { number, leaf, event: Some(event), retired: None });
            if [4, 8, 10].contains(&tree.size()) {
                notes.push(key.sign(&tree).unwrap().note);
            }
        }
        (key.public(), rows, notes)
    }

    fn faults(rows: Vec<Row>, notes: &[String]) -> Vec<String> {
        let (key, ..) = log();
        let mut checker = Checker::new(key, Tree::default());
        notes.iter().for_each(|note| checker.checkpoint(note));
        rows.into_iter().for_each(|row| checker.row(row));
        checker.finish().faults.iter().map(ToString::to_string).collect()
    }

    type Tamper = fn(&mut Vec<Row>, &mut Vec<String>);

    #[test]
    #[allow(clippy::too_many_lines, reason = "one table")]
    fn each_kind_of_tampering_is_named() {
        let cases: [(&str, Tamper, &[&str]); 11] = [
            ("nothing", |_, _| {}, &[]),
            (
                "changed",
                |rows, _| rows[2].event = Some(json!({"id": "e2", "action": "x"})),
                &["event 2 (e2) changed"],
            ),
            ("removed", |rows, _| drop(rows.remove(5)), &["event 5 removed"]),
            ("cut", |rows, _| rows.truncate(7), &["events 7 to 9 cut off: a checkpoint knows of more"]),
            (
                "inserted",
                |rows, _| rows.insert(3, rows[2].clone()),
                &["event 2 inserted: its number was there already"],
            ),
            (
                "swapped contents",
                |rows, _| {
                    let event = rows[1].event.take();
                    rows[1].event = rows[6].event.take();
                    rows[6].event = event;
                },
                &["events 1 and 6 reordered: each stands in the other's place"],
            ),
            (
                "swapped numbers",
                |rows, _| {
                    let row = rows[1].clone();
                    rows[1] = Row { number: 1, ..rows[2].clone() };
                    rows[2] = Row { number: 2, ..row };
                },
                &[
                    "events 0 to 3 rewritten: not what was signed",
                    "events 1 and 2 reordered: each stands in the other's place",
                ],
            ),
            (
                "changed with its hash",
                |rows, _| {
                    rows[5].event = Some(json!({"id": "e5"}));
                    rows[5].leaf = leaf(5, rows[5].event.as_ref().unwrap());
                },
                &["events 4 to 7 rewritten: not what was signed"],
            ),
            (
                "removed and renumbered",
                |rows, _| {
                    rows.remove(5);
                    for (number, row) in rows.iter_mut().enumerate() {
                        row.number = number as u64;
                        row.leaf = leaf(row.number, row.event.as_ref().unwrap());
                    }
                },
                &[
                    "events 4 to 7 rewritten: not what was signed",
                    "event 9 cut off: a checkpoint knows of more",
                ],
            ),
            (
                "a forged checkpoint",
                |_, notes| notes[1] = notes[1].replace("\n8\n", "\n7\n"),
                &["a checkpoint is forged: the checkpoint's signature is not this key's"],
            ),
            (
                "hashes alone",
                |rows, _| rows.iter_mut().for_each(|row| row.event = None),
                &["events 0 to 9 removed without a tombstone that says so"],
            ),
        ];
        for (what, tamper, want) in cases {
            let (_, mut rows, mut notes) = log();
            tamper(&mut rows, &mut notes);
            assert_eq!(faults(rows, &notes), want, "{what}");
        }
    }

    #[test]
    fn a_checkpoint_that_was_kept_elsewhere_shows_what_the_log_has_forgotten() {
        let (_, rows, notes) = log();
        // Rows and the newest checkpoints are gone together.
        let left: Vec<Row> = rows[..4].to_vec();
        assert_eq!(faults(left.clone(), &notes[..1]), Vec::<String>::new());
        assert_eq!(
            faults(left, &[notes[0].clone(), notes[2].clone()]),
            ["events 4 to 9 cut off: a checkpoint knows of more"]
        );
    }

    /// A log of ten events, the last of which is a tombstone with this detail.
    fn with_tombstone(detail: Value) -> (PublicKey, Vec<Row>, Tree, String) {
        let key = Key::new("palisade/audit/x", &[7; 32]).unwrap();
        let (_, mut rows, _) = log();
        let event = json!({ "id": "t", "action": RETIRE, "detail": detail });
        rows[9] = Row { number: 9, leaf: leaf(9, &event), event: Some(event), retired: None };
        let mut tree = Tree::default();
        rows.iter().for_each(|row| tree.push(row.leaf));
        let note = key.sign(&tree).unwrap().note;
        (key.public(), rows, tree, note)
    }

    #[test]
    fn what_was_deleted_by_rule_is_continued_from() {
        let (_, rows, _) = log();
        let mut before = Tree::default();
        rows[..4].iter().for_each(|row| before.push(row.leaf));
        let root = HEXLOWER.encode(&before.root());
        for (detail, want) in [
            (json!({ "until": 4, "root": root }), vec![]),
            (json!({ "until": 5, "root": root }), vec![Fault::Untold { from: 0, to: 3 }]),
            (json!({ "until": 4, "root": "00" }), vec![Fault::Untold { from: 0, to: 3 }]),
        ] {
            let (key, rows, _, note) = with_tombstone(detail);
            let mut checker = Checker::new(key, before.clone());
            rows[4..].iter().cloned().for_each(|row| checker.row(row));
            checker.checkpoint(&note);
            let report = checker.finish();
            assert_eq!((report.events, report.signed, report.faults), (6, 10, want));
        }
    }

    #[test]
    fn events_of_a_class_are_deleted_by_a_tombstone_alone() {
        let (_, rows, _) = log();
        let mut gone = Retired::default();
        [2, 3, 7].iter().for_each(|at| gone.add(rows[*at].number, &rows[*at].leaf));
        let tombstone = json!({ "count": 3, "digest": gone.digest() });
        let untold = |from, to| vec![Fault::Untold { from, to }];
        type Tamper = fn(&mut Vec<Row>);
        let cases: [(Value, Tamper, Vec<Fault>); 5] = [
            (tombstone.clone(), |_| {}, vec![]),
            (json!({ "count": 2, "digest": gone.digest() }), |_| {}, untold(2, 7)),
            // One more was deleted than the rule did.
            (
                tombstone.clone(),
                |rows| (rows[5].event, rows[5].retired) = (None, Some("t".into())),
                untold(2, 7),
            ),
            (tombstone.clone(), |rows| (rows[5].event, rows[5].retired) = (None, None), untold(5, 5)),
            (tombstone, |rows| rows[3].retired = Some("e1".into()), [untold(2, 7), untold(3, 3)].concat()),
        ];
        for (detail, tamper, want) in cases {
            let (key, mut rows, _, note) = with_tombstone(detail);
            for at in [2, 3, 7] {
                (rows[at].event, rows[at].retired) = (None, Some("t".into()));
            }
            tamper(&mut rows);
            let mut checker = Checker::new(key, Tree::default());
            checker.checkpoint(&note);
            rows.into_iter().for_each(|row| checker.row(row));
            assert_eq!(checker.finish().faults, want);
        }
    }
}
