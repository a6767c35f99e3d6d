//! Limits that hold before any parser sees a text. Linear in its length.

use crate::limits::Limits;
use crate::read::ReadError;
use crate::verdict::Reason;

/// What PostgreSQL's lexer takes for one operator.
const OPERATOR_BYTES: &[u8] = b"~!@#^&|`?+-*/%<>=";

/// Refuses a text that a parser could choke on.
pub(super) fn check(text: &str, limits: &Limits) -> Result<(), ReadError> {
    if text.len() > limits.statement_bytes {
        let message =
            format!("the statement has {} bytes and {} are allowed", text.len(), limits.statement_bytes);
        return Err(limit(message, "Send large values as parameters or through COPY."));
    }
    if text.contains('\0') {
        return Err(ReadError {
            sqlstate: "22021",
            message: "invalid byte sequence for encoding \"UTF8\": 0x00".into(),
            hint: None,
            position: None,
            reason: Reason::BadEncoding,
        });
    }
    let (nesting, budget) = measure(text.as_bytes());
    if nesting > limits.operators {
        let message = format!(
            "the statement has {nesting} operators and parentheses and {} are allowed",
            limits.operators
        );
        return Err(limit(message, "Split the statement, or use an array parameter with = ANY."));
    }
    if budget > limits.operator_run_budget {
        return Err(limit(
            "the statement has a run of operator characters that is too long".into(),
            "Shorten it.",
        ));
    }
    Ok(())
}

/// How many things of a text can nest.
pub(super) fn nesting(text: &str) -> usize {
    measure(text.as_bytes()).0
}

/// The number of things that can nest, and the sum of the squares of the runs of operator characters.
fn measure(bytes: &[u8]) -> (usize, usize) {
    let (mut nesting, mut budget, mut run) = (0, 0usize, 0usize);
    let mut word = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if OPERATOR_BYTES.contains(&byte) {
            if run == 0 {
                nesting += 1;
            }
            run += 1;
            continue;
        }
        budget = budget.saturating_add(run * run);
        run = 0;
        if matches!(byte, b'(' | b'[' | b':' | b'.') {
            nesting += 1;
        }
        if byte.is_ascii_alphabetic() || byte == b'_' {
            word += 1;
        } else if word > 0 {
            if nests(&bytes[at - word..at]) {
                nesting += 1;
            }
            word = 0;
        }
    }
    (nesting, budget.saturating_add(run * run))
}

/// Words that make a tree one level deeper.
fn nests(word: &[u8]) -> bool {
    [
        &b"and"[..],
        b"or",
        b"not",
        b"union",
        b"except",
        b"intersect",
        b"join",
        b"case",
        b"collate",
        b"is",
        b"like",
        b"select",
        b"at",
        b"isnull",
        b"notnull",
    ]
    .iter()
    .any(|w| word.eq_ignore_ascii_case(w))
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
