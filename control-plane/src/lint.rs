//! What a migration's statements do to those who use the tables meanwhile: lock, rewrite, scan, loss. Pure; needs a deep
//! stack. By the statement's verb and words: a reading for people, not a proof.

use palisade_policies::{Limits, read};
use serde::Serialize;
use utoipa::ToSchema;

use crate::template::line_of_byte;

/// One statement of a migration.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LintedStatement {
    /// From 1.
    pub(crate) line: usize,
    /// `ALTER TABLE`, `CREATE INDEX` …
    pub(crate) verb: &'static str,
    /// The strongest lock that it takes on a table that is in use; null where it takes none that anybody waits for.
    pub(crate) lock: Option<&'static str>,
    /// What to know before it runs, a sentence each.
    pub(crate) notes: Vec<&'static str>,
}

/// The statements of a registered file. One that was registered can be read.
pub(crate) fn lint(body: &str) -> Vec<LintedStatement> {
    let limits = Limits { statements: usize::MAX, ..Limits::default() };
    let Ok(reading) = read::read(body, &limits) else { return Vec::new() };
    reading
        .statements
        .iter()
        .map(|statement| {
            let words = words(&body[statement.range.clone()]);
            let (lock, notes) = effect(statement.verb, &words);
            LintedStatement {
                line: line_of_byte(body, statement.range.start),
                verb: statement.verb,
                lock,
                notes,
            }
        })
        .collect()
}

/// Upper case, one space between words.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_uppercase()
}

const EXCLUSIVE: &str = "ACCESS EXCLUSIVE";

fn effect(verb: &str, words: &str) -> (Option<&'static str>, Vec<&'static str>) {
    match verb {
        "ALTER TABLE" => alter_table(words),
        "CREATE INDEX" => (Some("SHARE"), vec!["Writes wait while the index is built."]),
        "DROP TABLE" => (Some(EXCLUSIVE), vec!["The table's data is lost."]),
        "DROP INDEX" | "DROP VIEW" | "DROP TRIGGER" | "CREATE RULE" => (Some(EXCLUSIVE), vec![]),
        "DROP MATERIALIZED VIEW" => (Some(EXCLUSIVE), vec!["The view's data is lost."]),
        "TRUNCATE" => (Some(EXCLUSIVE), vec!["The table's data is lost."]),
        "CREATE TRIGGER" => (Some("SHARE ROW EXCLUSIVE"), vec![]),
        "UPDATE" | "DELETE" => {
            let mut notes = vec!["Rows stay locked until the step ends."];
            if !words.contains(" WHERE ") {
                notes.push("It touches every row.");
            }
            (Some("ROW EXCLUSIVE"), notes)
        }
        "INSERT" | "MERGE" => (Some("ROW EXCLUSIVE"), vec![]),
        "DO" | "CALL" => (None, vec!["What it does cannot be read."]),
        _ => (None, vec![]),
    }
}

fn alter_table(words: &str) -> (Option<&'static str>, Vec<&'static str>) {
    let mut notes = Vec::new();
    let has = |what: &str| words.contains(what);
    if has(" DROP COLUMN ")
        || (has(" DROP ") && !has(" DROP CONSTRAINT ") && !has(" DROP DEFAULT") && !has(" DROP NOT NULL"))
    {
        notes.push("The column's data is lost.");
    }
    if has(" TYPE ") {
        notes.push("The table may be rewritten; reads and writes wait.");
    }
    if has(" SET NOT NULL") {
        notes.push("The table is scanned; reads and writes wait.");
    }
    if has(" ADD ") && has(" CHECK ") && !has(" NOT VALID") {
        notes.push("The table is scanned; add it NOT VALID and validate it in a later version.");
    }
    if has(" REFERENCES ") && !has(" NOT VALID") {
        notes
            .push("Both tables are locked and scanned; add it NOT VALID and validate it in a later version.");
    }
    if has(" VALIDATE CONSTRAINT ") {
        return (Some("SHARE UPDATE EXCLUSIVE"), notes);
    }
    if has(" FOREIGN KEY ") {
        return (Some("SHARE ROW EXCLUSIVE"), notes);
    }
    (Some(EXCLUSIVE), notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_for_what_they_do_to_others() {
        for (sql, lock, note) in [
            ("ALTER TABLE a ADD COLUMN b int", Some(EXCLUSIVE), None),
            ("ALTER TABLE a DROP COLUMN b", Some(EXCLUSIVE), Some("data is lost")),
            ("ALTER TABLE a ALTER b TYPE bigint", Some(EXCLUSIVE), Some("rewritten")),
            (
                "ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES c",
                Some("SHARE ROW EXCLUSIVE"),
                Some("NOT VALID"),
            ),
            ("ALTER TABLE a VALIDATE CONSTRAINT c", Some("SHARE UPDATE EXCLUSIVE"), None),
            ("CREATE INDEX i ON a (b)", Some("SHARE"), Some("Writes wait")),
            ("CREATE TABLE a (b int)", None, None),
            ("UPDATE a SET b = 1", Some("ROW EXCLUSIVE"), Some("every row")),
        ] {
            let got = lint(sql);
            assert_eq!((got.len(), got[0].lock), (1, lock), "{sql}");
            let said = got[0].notes.join(" ");
            assert_eq!(note.is_some(), !said.is_empty(), "{sql}: {said}");
            assert!(said.contains(note.unwrap_or_default()), "{sql}: {said}");
        }
    }
}
