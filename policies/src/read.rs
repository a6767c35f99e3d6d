//! Text to [`Reading`], by two independent readers.

use std::ops::Range;

use crate::access::Access;
use crate::effect::{Effect, Kind};
use crate::limits::Limits;
use crate::verdict::Reason;

/// One statement of a text, as both readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The verb as the audit trail shows it: `SELECT`, `CREATE TABLE`.
    pub verb: &'static str,
    /// Read, write, DDL or session.
    pub kind: Kind,
    /// Bytes of the text that this statement occupies.
    pub range: Range<usize>,
    /// Everything it names, in the order of the text where known.
    pub accesses: Vec<Access>,
    /// What it does to the session.
    pub effects: Vec<Effect>,
    /// Set where the statement's kind is read in full but never permitted (`ALTER SYSTEM`, `LOAD` …).
    pub forbidden: Option<ReadError>,
}

/// What a text says. Does not depend on any tenant, so it is shared by all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Its statements; empty for an empty query.
    pub statements: Vec<Statement>,
    /// Whether the witness could read the text; `false` where PostgreSQL's reading decides alone.
    pub witnessed: bool,
}

/// A text that cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    /// PostgreSQL's code: 42601, 54001, 54000, 22021, 0A000 …
    pub sqlstate: &'static str,
    /// PostgreSQL's words.
    pub message: String,
    /// HINT, where there is one.
    pub hint: Option<String>,
    /// Where, in characters from 1.
    pub position: Option<usize>,
    /// For the audit trail.
    pub reason: Reason,
}

/// Reads a text with both readers.
///
/// Needs a stack of at least 16 MiB: trees are as deep as [`Limits::operators`] allows.
///
/// # Errors
/// A text that is too big, not UTF-8, refused by PostgreSQL's grammar, or that the readers do not read alike.
pub fn read(text: &str, limits: &Limits) -> Result<Reading, ReadError> {
    let _ = (text, limits);
    Err(ReadError {
        sqlstate: "0A000",
        message: "not built yet".into(),
        hint: None,
        position: None,
        reason: Reason::NotUnderstood,
    })
}
