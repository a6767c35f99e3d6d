//! Limits that hold before any parser sees a text. Linear in its length.

use crate::limits::Limits;
use crate::read::ReadError;
use crate::verdict::Reason;

/// What a byte is to this count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Byte {
    Other,
    /// PostgreSQL's lexer takes a run of these for one operator.
    Operator,
    /// Opens something: a parenthesis, a subscript, a cast.
    Opens,
    /// Stands between the parts of a name.
    Dot,
    /// Part of a word.
    Letter,
    Nul,
}

const BYTES: [Byte; 256] = {
    let mut table = [Byte::Other; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = match at as u8 {
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*' | b'/'
            | b'%' | b'<' | b'>' | b'=' => Byte::Operator,
            b'(' | b'[' | b':' => Byte::Opens,
            b'.' => Byte::Dot,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Byte::Letter,
            0 => Byte::Nul,
            _ => Byte::Other,
        };
        at += 1;
    }
    table
};

/// What a text has that can make its tree big.
#[derive(Clone, Copy, Default)]
pub(super) struct Nesting {
    /// Things that make the tree one level deeper at most, each.
    pub(super) levels: usize,
    /// Dots between the parts of names, which make lists longer.
    pub(super) dots: usize,
}

impl Nesting {
    /// All of them.
    pub(super) fn all(self) -> usize {
        self.levels + self.dots
    }
}

/// What a text has that parsers can choke on.
struct Measure {
    nesting: Nesting,
    /// The sum of the squares of the lengths of runs of operator characters.
    runs: usize,
    /// Whether a byte is NUL.
    nul: bool,
}

/// Refuses a text that a parser could choke on. Says how far it can nest.
pub(super) fn check(text: &str, limits: &Limits) -> Result<Nesting, ReadError> {
    if text.len() > limits.statement_bytes {
        let message =
            format!("the statement has {} bytes and {} are allowed", text.len(), limits.statement_bytes);
        return Err(limit(message, "Send large values as parameters or through COPY."));
    }
    let Measure { nesting, runs, nul } = measure(text.as_bytes());
    if nul {
        return Err(ReadError {
            sqlstate: "22021",
            message: "invalid byte sequence for encoding \"UTF8\": 0x00".into(),
            hint: None,
            position: None,
            reason: Reason::BadEncoding,
        });
    }
    if nesting.all() > limits.operators {
        let message = format!(
            "the statement has {} operators and parentheses and {} are allowed",
            nesting.all(),
            limits.operators
        );
        return Err(limit(message, "Split the statement, or use an array parameter with = ANY."));
    }
    if runs > limits.operator_run_budget {
        return Err(limit(
            "the statement has a run of operator characters that is too long".into(),
            "Shorten it.",
        ));
    }
    Ok(nesting)
}

fn measure(bytes: &[u8]) -> Measure {
    let mut found = Measure { nesting: Nesting::default(), runs: 0, nul: false };
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match BYTES[usize::from(byte)] {
            Byte::Other => {}
            Byte::Nul => found.nul = true,
            Byte::Opens => found.nesting.levels += 1,
            Byte::Dot => found.nesting.dots += 1,
            Byte::Operator => {
                at = end_of(bytes, at, Byte::Operator);
                found.nesting.levels += 1;
                found.runs = found.runs.saturating_add((at - start) * (at - start));
            }
            Byte::Letter => {
                at = end_of(bytes, at, Byte::Letter);
                if nests(&bytes[start..at]) {
                    found.nesting.levels += 1;
                }
            }
        }
    }
    found
}

/// Where the run of bytes of this kind ends.
fn end_of(bytes: &[u8], from: usize, kind: Byte) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|&byte| BYTES[usize::from(byte)] != kind).unwrap_or(rest.len())
}

/// Words that make a tree one level deeper.
fn nests(word: &[u8]) -> bool {
    let words: &[&[u8]] = match word.len() {
        2 => &[b"or", b"is", b"at"],
        3 => &[b"and", b"not"],
        4 => &[b"join", b"case", b"like"],
        5 => &[b"union"],
        6 => &[b"except", b"select", b"isnull"],
        7 => &[b"collate", b"notnull"],
        9 => &[b"intersect"],
        _ => &[],
    };
    words.iter().any(|w| word.eq_ignore_ascii_case(w))
}

fn limit(message: String, hint: &str) -> ReadError {
    ReadError {
        sqlstate: "54001",
        message,
        hint: Some(hint.into()),
        position: None,
        reason: Reason::LimitExceeded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_the_table() {
        let limits = Limits {
            statement_bytes: 30_000,
            statements: 10,
            operators: 100,
            operator_run_budget: 1_000_000,
        };
        for (text, want) in [
            ("SELECT 1".to_owned(), None),
            ("x".repeat(30_001), Some("54001")),
            ("SELECT '\0'".to_owned(), Some("22021")),
            (format!("SELECT 1{}", "+1".repeat(101)), Some("54001")),
            (format!("SELECT {}1{}", "(".repeat(101), ")".repeat(101)), Some("54001")),
            (format!("SELECT true{}", " AND true".repeat(101)), Some("54001")),
            ("/*".repeat(600), Some("54001")),
            (format!("--{}\nSELECT 1", "*".repeat(80)), None),
        ] {
            assert_eq!(
                check(&text, &limits).err().map(|e| e.sqlstate),
                want,
                "{}",
                &text[..text.len().min(40)]
            );
        }
    }
}
