//! The corpus of attacks, with the run's names in it, as it is and changed at random.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::Value;

use crate::generate::Attack;
use crate::lab::Lab;

/// The corpus; its format is described in `bench/corpus/README.md`.
const CORPUS: &str = include_str!("../../corpus/attacks.jsonl");
/// Classes that are about the server's resources and times, not about what comes back: the corpus runner plays them.
const LEFT_OUT: [&str; 4] = ["resource", "advisory-lock", "observability", "maintenance"];
/// Longest statement that is sent, in bytes.
const STATEMENT_BYTES: usize = 16 << 10;

/// Words that are put into a text, or in the place of others.
const WORDS: [&str; 24] = [
    "'",
    "\"",
    ";",
    "--",
    "/*",
    "*/",
    "$$",
    "\\",
    "U&",
    "E'",
    "::",
    ".",
    "(",
    ")",
    " UNION ALL ",
    " FROM ",
    " ONLY ",
    "pg_catalog.",
    "public.",
    "\n",
    "\t",
    " AS ",
    "$1",
    "NULL",
];

/// One in so many is a text that reads whole catalogs: each costs the server as much as hundreds of others.
const CATALOGS: u32 = 50;

/// Makes attacks from the corpus.
pub(crate) struct Mutator {
    texts: Vec<String>,
    catalogs: Vec<String>,
}

impl Mutator {
    /// The corpus for an attacker and victims. Numbers of objects stand for those that the corpus looks up.
    pub(crate) fn new(attacker: &Lab, victims: &[Lab], numbers: &[u32], rng: &mut StdRng) -> Self {
        let (mut texts, mut catalogs) = (Vec::new(), Vec::new());
        for case in CORPUS.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let class = case["class"].as_str().unwrap_or_default();
            let Some(victim) = victims.choose(rng) else { continue };
            if LEFT_OUT.contains(&class) || case["heavy"] == true {
                continue;
            }
            for step in case["steps"].as_array().into_iter().flatten() {
                let mine = step["as"].as_str().is_none_or(|who| !who.starts_with('B'));
                if let (Some(sql), true) = (step.as_str().or(step["sql"].as_str()), mine) {
                    let text = named(sql, attacker, victim, numbers, rng);
                    if reads_catalogs(&text) { &mut catalogs } else { &mut texts }.push(text);
                }
            }
        }
        Self { texts, catalogs }
    }

    /// The next attack: one in four as it is.
    pub(crate) fn next(&self, rng: &mut StdRng) -> Attack {
        let from = if rng.random_range(0..CATALOGS) == 0 { &self.catalogs } else { &self.texts };
        let mut sql = from.choose(rng).cloned().unwrap_or_default();
        for _ in 0..rng.random_range(0..4) {
            sql = self.changed(sql, rng);
        }
        let end =
            (0..=STATEMENT_BYTES.min(sql.len())).rev().find(|&at| sql.is_char_boundary(at)).unwrap_or(0);
        sql.truncate(end);
        Attack { class: "corpus", sql }
    }

    fn changed(&self, sql: String, rng: &mut StdRng) -> String {
        let places: Vec<usize> = sql.char_indices().map(|(at, _)| at).collect();
        let at = places.choose(rng).copied().unwrap_or(0);
        let to = places[places.partition_point(|&p| p < at)..].choose(rng).copied().unwrap_or(at);
        let word = WORDS.choose(rng).copied().unwrap_or("");
        match rng.random_range(0..6) {
            0 => format!("{}{word}{}", &sql[..at], &sql[at..]),
            1 => format!("{}{}", &sql[..at], &sql[to..]),
            2 => format!("{}{}{}", &sql[..to], &sql[at..to], &sql[to..]),
            3 => format!("{}{word}{}", &sql[..at], &sql[to..]),
            4 => {
                let other = self.texts.choose(rng).map_or("", String::as_str);
                format!("{}{other}", &sql[..at])
            }
            _ => sql
                .chars()
                .map(|c| if rng.random_range(0..8) == 0 { c.to_ascii_uppercase() } else { c })
                .collect(),
        }
    }
}

/// Whether a text reads catalogs, or views of them.
fn reads_catalogs(text: &str) -> bool {
    let words = text.to_ascii_lowercase();
    ["information_schema", "from pg_", "from pg_catalog", "join pg_", "table pg_"]
        .iter()
        .any(|word| words.contains(word))
}

/// A text of the corpus with the names of this run.
fn named(sql: &str, attacker: &Lab, victim: &Lab, numbers: &[u32], rng: &mut StdRng) -> String {
    let owner = |lab: &Lab| format!("{}_owner", lab.schema);
    let hex: String = victim.schema.bytes().map(|b| format!("{b:02x}")).collect();
    let mut text = sql.to_owned();
    for (mark, name) in [
        ("{SA}", attacker.schema.clone()),
        ("{SB}", victim.schema.clone()),
        ("{RA}", owner(attacker)),
        ("{RB}", owner(victim)),
        ("{A}", attacker.slug.clone()),
        ("{B}", victim.slug.clone()),
        ("{DB}", attacker.slug.clone()),
        ("{HEXSB}", hex),
        ("payroll_zqbmeta", "known_t".to_owned()),
        ("secrets_zqbmeta", "known_t".to_owned()),
        ("v_zqbmeta", "known_v".to_owned()),
        ("seq_zqbmeta", "known_s".to_owned()),
        ("f_zqbmeta", "known_f".to_owned()),
        ("mood_zqbmeta", "known_e".to_owned()),
    ] {
        text = text.replace(mark, &name);
    }
    // What the corpus looks up by a query of the administrator.
    while let Some(begin) = text.find("{OID_") {
        let end = text[begin..].find('}').map_or(text.len(), |at| begin + at + 1);
        let number = numbers.choose(rng).copied().unwrap_or(16_384).to_string();
        text.replace_range(begin..end, &number);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Tokens;
    use rand::SeedableRng;

    #[test]
    fn the_corpus_is_spelled_with_the_runs_names() {
        let mut rng = StdRng::seed_from_u64(5);
        let lab = |slug: &str, c: char, rng: &mut StdRng| Lab {
            slug: slug.into(),
            schema: format!("t_{}", c.to_string().repeat(20)),
            space: "public".into(),
            tokens: Tokens::random(rng),
        };
        let (a, b) = (lab("a", 'a', &mut rng), lab("b", 'b', &mut rng));
        let mutator = Mutator::new(&a, &[b], &[20_000], &mut rng);
        let (texts, catalogs) = (mutator.texts.len(), mutator.catalogs.len());
        assert!(texts + catalogs > 400 && catalogs > 20, "{texts} {catalogs}");
        assert!(mutator.texts.iter().all(|text| !text.contains("{SB}") && !text.contains("{OID_")));
        let made = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (0..300).map(|_| mutator.next(&mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(made(1), made(1));
        assert!(made(1).iter().all(|attack| attack.sql.len() <= STATEMENT_BYTES));
    }
}
