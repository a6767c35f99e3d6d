//! Tokens of others in what an attacker received. Pure.

use aho_corasick::AhoCorasick;

use crate::lab::Lab;

/// What of an answer is shown on either side of what was found, in bytes.
const AROUND_BYTES: usize = 120;

/// What was found in an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it stands in: `row`, `comment`, `source`, `label`, `name`, or `schema` for a physical name.
    pub kind: &'static str,
    /// Whose it is.
    pub victim: String,
}

/// Looks for what belongs to the victims.
pub struct Oracle {
    patterns: AhoCorasick,
    /// What each pattern is, and whether the attackers are told of it.
    meanings: Vec<(Finding, bool, String)>,
}

impl Oracle {
    /// An oracle for these victims.
    ///
    /// # Errors
    /// More patterns than an automaton holds.
    pub fn new(victims: &[Lab]) -> anyhow::Result<Self> {
        let mut meanings = Vec::new();
        for victim in victims {
            let finding = |kind| Finding { kind, victim: victim.slug.clone() };
            for (kind, token) in victim.tokens.all() {
                meanings.push((finding(kind), false, token.to_owned()));
            }
            // The attackers write the schema's name: it counts only where it comes unasked.
            meanings.push((finding("schema"), true, victim.schema.to_ascii_lowercase()));
        }
        let patterns = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(meanings.iter().map(|(_, _, text)| text))?;
        Ok(Self { patterns, meanings })
    }

    /// What stands in an answer to these words and is not the attacker's.
    #[must_use]
    pub fn look(&self, answer: &[u8], sent: &[u8]) -> Vec<Finding> {
        let mut found: Vec<Finding> = self
            .patterns
            .find_iter(answer)
            .map(|hit| &self.meanings[hit.pattern().as_usize()])
            .filter(|(_, told, text)| !told || !contains(sent, text.as_bytes()))
            .map(|(finding, ..)| finding.clone())
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// What stands around the first thing that [`Oracle::look`] finds.
    #[must_use]
    pub fn excerpt(&self, answer: &[u8], sent: &[u8]) -> String {
        let hit = self.patterns.find_iter(answer).find(|hit| {
            let (_, told, text) = &self.meanings[hit.pattern().as_usize()];
            !told || !contains(sent, text.as_bytes())
        });
        let around = hit.map_or(&[][..], |hit| {
            &answer[hit.start().saturating_sub(AROUND_BYTES)..answer.len().min(hit.end() + AROUND_BYTES)]
        });
        String::from_utf8_lossy(around).replace(|c: char| c.is_control(), " ")
    }
}

/// Whether a text stands in what was sent, forwards or backwards: attackers write names for `reverse` too.
fn contains(sent: &[u8], text: &[u8]) -> bool {
    let backwards: Vec<u8> = text.iter().rev().copied().collect();
    spelled(sent, text) || spelled(sent, &backwards)
}

/// Whether a text stands in what was sent, in any case of letters and whatever else stands between its characters: an
/// attacker spells names with escapes, comments and concatenations, and PostgreSQL says them back in one piece.
fn spelled(sent: &[u8], text: &[u8]) -> bool {
    let mut wanted = text.iter();
    let mut next = wanted.next();
    for byte in sent {
        if next.is_some_and(|wanted| byte.eq_ignore_ascii_case(wanted)) {
            next = wanted.next();
        }
    }
    // Spelled by escapes or as bytes, nothing of it may be left to see.
    let hex: Vec<u8> = text.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    let escaped = sent.windows(2).any(|pair| pair.eq_ignore_ascii_case(b"u&"));
    next.is_none() || escaped || sent.windows(hex.len()).any(|bytes| bytes.eq_ignore_ascii_case(&hex))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::lab::Tokens;
    use rand::SeedableRng;

    #[test]
    fn what_is_not_the_attackers_is_found() {
        let tokens = Tokens::random(&mut rand::rngs::StdRng::seed_from_u64(1));
        let lab = Lab {
            slug: "b".into(),
            schema: "t_bbbbbbbbbbbbbbbbbbbb".into(),
            space: "public".into(),
            tokens: tokens.clone(),
        };
        let oracle = Oracle::new(&[lab]).unwrap();
        let kinds = |answer: &str, sent: &str| {
            let found = oracle.look(answer.as_bytes(), sent.as_bytes());
            found.into_iter().map(|f| f.kind).collect::<Vec<_>>()
        };
        for (answer, sent, want) in [
            ("nothing".to_owned(), "", vec![]),
            (format!("x{}_1", tokens.row), "", vec!["row"]),
            (tokens.name.to_ascii_uppercase(), "", vec!["name"]),
            (format!("{} {}", tokens.label, tokens.source), "", vec!["label", "source"]),
            (format!("relation \"{}\"", tokens.name), &tokens.name, vec!["name"]),
            ("schema t_bbbbbbbbbbbbbbbbbbbb".into(), "SELECT * FROM T_bbbbbbbbbbbbbbbbbbbb.x", vec![]),
            ("schema t_bbbbbbbbbbbbbbbbbbbb".into(), "SELECT 't_bbbbbbbb' || 'bbbbbbbbbbbb'", vec![]),
            ("schema t_bbbbbbbbbbbbbbbbbbbb".into(), "SELECT reverse('bbbbbbbbbbbbbbbbbbbb_t')", vec![]),
            ("schema t_bbbbbbbbbbbbbbbbbbbb".into(), "SELECT 18018::regclass", vec!["schema"]),
            (
                "schema t_bbbbbbbbbbbbbbbbbbbb".into(),
                "SELECT '\\x745f6262626262626262626262626262626262626262'",
                vec![],
            ),
        ] {
            assert_eq!(kinds(&answer, sent), want, "{answer}");
        }
    }
}
