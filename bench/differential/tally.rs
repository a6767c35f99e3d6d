//! What both readers say of one text, and the sums of that. Pure.

use std::collections::BTreeMap;

use palisade_policies::{Judge, Limits, Namespace, ReadError, Reason, Verdict, read};

/// What both readers say of one text.
pub(crate) struct Seen {
    /// What the text begins with.
    pub(crate) kind: String,
    /// Whether PostgreSQL's grammar reads it.
    pub(crate) grammar: bool,
    /// Whether sqlparser reads it.
    pub(crate) witness: bool,
    /// Why it is not permitted to a tenant's owner.
    pub(crate) refused: Option<Reason>,
    /// The words of that refusal.
    pub(crate) said: String,
}

/// Sums over the texts of one kind, or of one corpus.
#[derive(Default, Clone)]
pub(crate) struct Sums {
    pub(crate) texts: u64,
    pub(crate) grammar: u64,
    pub(crate) witness: u64,
    pub(crate) both: u64,
    pub(crate) permitted: u64,
    /// How many are refused for each reason.
    pub(crate) refused: BTreeMap<&'static str, u64>,
}

impl Sums {
    fn add(&mut self, seen: &Seen) {
        self.texts += 1;
        self.grammar += u64::from(seen.grammar);
        self.witness += u64::from(seen.witness);
        self.both += u64::from(seen.grammar && seen.witness);
        match seen.refused {
            None => self.permitted += 1,
            Some(reason) => *self.refused.entry(reason.code()).or_default() += 1,
        }
    }

    /// How many are refused for this reason.
    pub(crate) fn of(&self, reason: Reason) -> u64 {
        self.refused.get(reason.code()).copied().unwrap_or_default()
    }
}

/// Sums by corpus, and by corpus and kind.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) corpora: BTreeMap<String, Sums>,
    pub(crate) kinds: BTreeMap<(String, String), Sums>,
}

impl Tally {
    pub(crate) fn add(&mut self, corpus: &str, seen: &Seen) {
        self.corpora.entry(corpus.to_owned()).or_default().add(seen);
        self.kinds.entry((corpus.to_owned(), seen.kind.clone())).or_default().add(seen);
    }

    /// Sums by kind over all corpora, most texts first.
    pub(crate) fn by_kind(&self) -> Vec<(String, Sums)> {
        let mut all: BTreeMap<&str, Sums> = BTreeMap::new();
        for ((_, kind), sums) in &self.kinds {
            let one = all.entry(kind).or_default();
            one.texts += sums.texts;
            one.grammar += sums.grammar;
            one.witness += sums.witness;
            one.both += sums.both;
            one.permitted += sums.permitted;
            for (reason, count) in &sums.refused {
                *one.refused.entry(reason).or_default() += count;
            }
        }
        let mut all: Vec<_> = all.into_iter().map(|(kind, sums)| (kind.to_owned(), sums)).collect();
        all.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.texts));
        all
    }
}

/// Reads and judges one text.
pub(crate) fn see(text: &str, judge: &Judge, namespace: &Namespace, limits: &Limits) -> Seen {
    let kind = kind(text);
    let denied = |reason, said: String, grammar, witness| Seen {
        kind: kind.clone(),
        grammar,
        witness,
        refused: Some(reason),
        said,
    };
    match read::read(text, limits) {
        Err(ReadError { reason, message, .. }) => {
            let grammar = !matches!(reason, Reason::SyntaxError | Reason::BadEncoding);
            denied(reason, message, grammar, read::witness_reads(text, limits))
        }
        Ok(reading) => match judge.judge(text, &reading, namespace, limits) {
            Verdict::Deny(denial) => denied(
                denial.reason,
                format!("{} ({})", denial.message, denial.object.unwrap_or_default()),
                true,
                reading.witnessed,
            ),
            Verdict::Permit(_) => {
                Seen { kind, grammar: true, witness: reading.witnessed, refused: None, said: String::new() }
            }
        },
    }
}

/// The words that a statement begins with, as far as they say what it is.
pub(crate) fn kind(text: &str) -> String {
    let mut rest = text.trim_start_matches(['(', ' ', '\n', '\r', '\t', ';']);
    while let Some(comment) = comment(rest) {
        rest = rest[comment..].trim_start_matches(['(', ' ', '\n', '\r', '\t', ';']);
    }
    let mut words = rest
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_uppercase);
    let first = words.next().unwrap_or_else(|| "(none)".into());
    let skipped = [
        "OR",
        "REPLACE",
        "UNIQUE",
        "TEMP",
        "TEMPORARY",
        "UNLOGGED",
        "GLOBAL",
        "LOCAL",
        "RECURSIVE",
        "TRUSTED",
    ];
    match first.as_str() {
        "CREATE" | "ALTER" | "DROP" | "COMMENT" | "SECURITY" => {
            let second = words.find(|word| !skipped.contains(&word.as_str()));
            [Some(first), second].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        _ => first,
    }
}

/// Where the comment ends that a text begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("--") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.starts_with("/*").then(|| text.find("*/").map_or(text.len(), |at| at + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_the_first_words_that_say_something() {
        for (text, want) in [
            ("select 1", "SELECT"),
            ("-- x\n(( SELECT 1)", "SELECT"),
            ("/* a */CREATE OR REPLACE TEMP VIEW v AS SELECT 1", "CREATE VIEW"),
            ("CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX"),
            ("", "(none)"),
        ] {
            assert_eq!(kind(text), want, "{text}");
        }
    }
}
