//! Text to [`Reading`], by two independent readers.
//!
//! - `guard`: limits before any parser.
//! - `walk`, `facts`, `children`: PostgreSQL's own tree, completely; `expression`, `ddl`, `session`, `forbidden`,
//!   `body` say what its nodes mean.
//! - `lex`: where names stand.
//! - `witness`: sqlparser's reading. `union`: what follows where the two differ.
//! - `verb`: what a statement is called.

mod body;
mod children;
mod ddl;
mod deep;
mod expression;
mod facts;
mod forbidden;
mod grammar;
mod guard;
pub(crate) mod lex;
mod session;
mod union;
mod verb;
mod walk;
mod witness;
mod write;

use std::ops::Range;

use pg_query::protobuf as p;

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
    /// Names in function bodies that have others in the database.
    pub body_names: Vec<BodyName>,
    /// Whether every body is dollar-quoted: then the names in it can be replaced where they stand.
    pub bodies_open: bool,
    /// Whether what a string constant says has a part in this reading: it may be a name.
    pub reads_constants: bool,
}

/// A name in a function's body that has another in the database, with its bytes in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyName {
    /// The schema `public`.
    Schema(Range<usize>),
    /// A function of PostgreSQL that is replaced, with its new name in schema `palisade`.
    Function {
        /// Schema included, where it is written.
        range: Range<usize>,
        /// What stands behind `palisade.` instead.
        name: String,
    },
    /// A catalog that has a filtered view, with its new name.
    Catalog {
        /// Schema included, where it is written.
        range: Range<usize>,
        /// Schema and name of the view.
        view: String,
    },
}

impl BodyName {
    /// The same, `base` bytes further on.
    fn moved(self, base: usize) -> Self {
        let on = |range: Range<usize>| range.start + base..range.end + base;
        match self {
            BodyName::Schema(range) => BodyName::Schema(on(range)),
            BodyName::Function { range, name } => BodyName::Function { range: on(range), name },
            BodyName::Catalog { range, view } => BodyName::Catalog { range: on(range), view },
        }
    }
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

impl ReadError {
    fn not_understood(what: &str) -> Self {
        Self {
            sqlstate: "0A000",
            message: format!("{what} is not supported through the proxy"),
            hint: None,
            position: None,
            reason: Reason::NotUnderstood,
        }
    }
}

/// Reads bytes that a client sent as a text.
///
/// # Errors
/// As [`read`], and 22021 where the bytes are not UTF-8.
pub fn read_bytes<'t>(bytes: &'t [u8], limits: &Limits) -> Result<(&'t str, Reading), ReadError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok((text, read(text, limits)?)),
        Err(error) => Err(ReadError {
            sqlstate: "22021",
            message: format!(
                "invalid byte sequence for encoding \"UTF8\": 0x{:02x}",
                bytes.get(error.valid_up_to()).copied().unwrap_or_default()
            ),
            hint: None,
            position: None,
            reason: Reason::BadEncoding,
        }),
    }
}

/// Reads a text with both readers.
///
/// Any thread may ask: what is deep is read on a stack of its own.
///
/// # Errors
/// A text that is too big, refused by PostgreSQL's grammar, or that the readers do not read alike.
pub fn read(text: &str, limits: &Limits) -> Result<Reading, ReadError> {
    let nesting = guard::check(text, limits)?;
    deep::with_stack(nesting, || read_within(text, limits, nesting))
}

/// Whether the second reader, asked alone, can read a text to its end: for comparisons of the two
/// (`bench/differential`). No verdict rests on it.
#[must_use]
pub fn witness_reads(text: &str, limits: &Limits) -> bool {
    let alone = |nesting: guard::Nesting| {
        let tokens = lex::Tokens::new(text);
        let text = tokens.names_written_out();
        let text = text.as_deref().unwrap_or(tokens.whole());
        matches!(
            witness::witness(text, nesting.all(), &mut witness::Asked::default()),
            witness::Testimony::Saw(_)
        )
    };
    guard::check(text, limits)
        .and_then(|nesting| deep::with_stack(nesting, || Ok(alone(nesting))))
        .unwrap_or_default()
}

fn read_within(text: &str, limits: &Limits, nesting: guard::Nesting) -> Result<Reading, ReadError> {
    let raw = grammar::parse(text).map_err(refused)?;
    if raw.len() > limits.statements {
        return Err(ReadError {
            sqlstate: "54000",
            message: format!("the text has {} statements and {} are allowed", raw.len(), limits.statements),
            hint: Some("Send them in several queries.".into()),
            position: None,
            reason: Reason::LimitExceeded,
        });
    }
    let tokens = lex::Tokens::new(text);
    let mut statements =
        raw.iter().map(|raw| statement(text, raw, &tokens)).collect::<Result<Vec<_>, _>>()?;
    let witnessed = union::unite(&tokens, nesting, &mut statements)?;
    Ok(Reading { statements, witnessed })
}

fn statement(text: &str, raw: &p::RawStmt, tokens: &lex::Tokens<'_>) -> Result<Statement, ReadError> {
    let start = usize::try_from(raw.stmt_location).unwrap_or_default();
    let length = usize::try_from(raw.stmt_len).unwrap_or_default();
    let end = if length == 0 { text.len() } else { start + length };
    let node = raw.stmt.as_ref().and_then(|s| s.node.as_ref());
    let node = node.ok_or_else(|| ReadError::not_understood("an empty statement"))?.to_ref();
    let Some((verb, kind)) = verb::of(&node) else {
        return Err(ReadError::not_understood("this kind of statement"));
    };
    let mut walk = walk::Walk::new(tokens, start..end);
    walk.set_is_statement = matches!(node, pg_query::NodeRef::VariableSetStmt(_));
    if let pg_query::NodeRef::SelectStmt(select) = node {
        walk.calls = session::Calls::of(select);
    }
    walk.node(node);
    if let Some(what) = walk.unknown {
        return Err(ReadError::not_understood(&format!("{verb} with this {what}")));
    }
    Ok(Statement {
        verb,
        kind,
        range: start..end,
        accesses: walk.accesses,
        effects: walk.effects,
        forbidden: walk.forbidden,
        body_names: walk.body_names,
        bodies_open: walk.bodies_open,
        reads_constants: walk.reads_constants,
    })
}

/// PostgreSQL's own words for a text that its grammar refuses.
fn refused(refusal: grammar::Refusal) -> ReadError {
    let grammar::Refusal { message, position } = refusal;
    let too_deep = ["stack depth", "memory exhausted", "nested too deeply"];
    if too_deep.iter().any(|words| message.contains(words)) {
        return ReadError {
            sqlstate: "54001",
            message: "stack depth limit exceeded".into(),
            hint: Some("Split the statement, or write it with fewer levels.".into()),
            position: None,
            reason: Reason::LimitExceeded,
        };
    }
    ReadError { sqlstate: "42601", message, hint: None, position, reason: Reason::SyntaxError }
}
