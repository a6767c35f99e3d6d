//! Tokens of others in what an attacker received. Pure.

use aho_corasick::AhoCorasick;

use crate::lab::Lab;

/// What of an answer is shown on either side of what was found, in bytes.
const AROUND_BYTES: usize = 120;

/// What was found in an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it stands in: `row`, `comment`, `source`, `label`, `name`, or `schema` and `slug` for what it is called.
    pub kind: &'static str,
    /// Whose it is.
    pub victim: String,
}

/// Looks for what belongs to the victims.
pub struct Oracle {
    patterns: AhoCorasick,
    /// What each pattern is.
    meanings: Vec<Finding>,
}

impl Oracle {
    /// An oracle for victims whose schemas the attackers are told of, and for one whose name nobody tells them: what
    /// they write themselves comes back from anywhere, and late, so only a name that they cannot know is looked for.
    ///
    /// # Errors
    /// More patterns than an automaton holds.
    pub fn new(told: &[Lab], untold: &Lab) -> anyhow::Result<Self> {
        let mut meanings = Vec::new();
        let mut texts = Vec::new();
        for victim in told.iter().chain([untold]) {
            for (kind, token) in victim.tokens.all() {
                meanings.push(Finding { kind, victim: victim.slug.clone() });
                texts.push(token);
            }
        }
        for (kind, name) in [("schema", &untold.schema), ("slug", &untold.slug)] {
            meanings.push(Finding { kind, victim: untold.slug.clone() });
            texts.push(name);
        }
        let patterns = AhoCorasick::builder().ascii_case_insensitive(true).build(texts)?;
        Ok(Self { patterns, meanings })
    }

    /// What stands in an answer and is a victim's.
    #[must_use]
    pub fn look(&self, answer: &[u8]) -> Vec<Finding> {
        let mut found: Vec<Finding> = self
            .patterns
            .find_iter(answer)
            .map(|hit| self.meanings[hit.pattern().as_usize()].clone())
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// What stands around the first thing that [`Oracle::look`] finds.
    #[must_use]
    pub fn excerpt(&self, answer: &[u8]) -> String {
        let around = self.patterns.find(answer).map_or(&[][..], |hit| {
            &answer[hit.start().saturating_sub(AROUND_BYTES)..answer.len().min(hit.end() + AROUND_BYTES)]
        });
        String::from_utf8_lossy(around).replace(|c: char| c.is_control(), " ")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::lab::Tokens;
    use rand::SeedableRng;

    #[test]
    fn what_is_a_victims_is_found() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let mut lab = |slug: &str, c: char| Lab {
            slug: slug.into(),
            schema: format!("t_{}", c.to_string().repeat(20)),
            space: "public".into(),
            tokens: Tokens::random(&mut rng),
        };
        let (told, untold) = (lab("probe-1", 'b'), lab("probe-2", 'c'));
        let oracle = Oracle::new(std::slice::from_ref(&told), &untold).unwrap();
        for (answer, want) in [
            ("nothing".to_owned(), vec![]),
            (format!("x{}_1", told.tokens.row), vec![("row", "probe-1")]),
            (untold.tokens.name.to_ascii_uppercase(), vec![("name", "probe-2")]),
            (
                format!("{} {}", told.tokens.label, untold.tokens.source),
                vec![("label", "probe-1"), ("source", "probe-2")],
            ),
            // The attackers' own words.
            (format!("schema {}", told.schema), vec![]),
            (format!("schema {}", untold.schema.to_ascii_uppercase()), vec![("schema", "probe-2")]),
            (format!("database \"{}\"", untold.slug), vec![("slug", "probe-2")]),
        ] {
            let found = oracle.look(answer.as_bytes());
            let found: Vec<_> = found.iter().map(|f| (f.kind, f.victim.as_str())).collect();
            assert_eq!(found, want, "{answer}");
            assert_eq!(oracle.excerpt(answer.as_bytes()).is_empty(), want.is_empty(), "{answer}");
        }
    }
}
