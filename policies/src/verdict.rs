//! The answer: a permit that names its rules, or a denial that names its reason.

use std::ops::Range;

use crate::effect::{Effect, Kind};

/// Replace the bytes `range` of the original text by `text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Bytes of the original text.
    pub range: Range<usize>,
    /// What stands there instead.
    pub text: String,
}

/// Most objects of a statement that are named in the audit trail.
pub const MOST_OBJECTS: usize = 20;

/// One permitted statement of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermittedStatement {
    /// The statement's verb as the audit trail shows it: `SELECT`, `CREATE TABLE`.
    pub verb: &'static str,
    /// Read, write, DDL or session.
    pub kind: Kind,
    /// What it does to the session.
    pub effects: Vec<Effect>,
    /// Whether what a string constant says had a part in its reading: it may be a name.
    pub reads_constants: bool,
    /// The relations and functions that it names, `class schema.name action` each, at most [`MOST_OBJECTS`].
    pub objects: Vec<String>,
}

/// The text may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The text to send instead, or `None` where the original is sent as it is.
    pub rewritten: Option<String>,
    /// The patches that make it, in order, so that error positions can be mapped back.
    pub patches: Vec<Patch>,
    /// One entry a statement; empty for an empty query.
    pub statements: Vec<PermittedStatement>,
    /// The policy lines that permitted, without repeats.
    pub rules: Vec<String>,
}

/// Why a text is refused: stable codes for the audit trail and for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A schema, or something in it, that is not the tenant's.
    ForeignSchema,
    /// A role switch, or a role that is not the tenant's.
    ForeignRole,
    /// Another database.
    ForeignDatabase,
    /// A setting that may not be moved.
    PinnedSetting,
    /// A function outside the allow-list.
    ForbiddenFunction,
    /// A catalog that is not shown.
    HiddenCatalog,
    /// A server file or program.
    ServerFile,
    /// A statement kind that is refused.
    ForbiddenStatement,
    /// A name that is computed at run time where only a constant can be judged.
    ComputedName,
    /// The role kind has no right to it.
    NoRight,
    /// A statement or node that the readers do not know.
    NotUnderstood,
    /// PostgreSQL's grammar refuses it.
    SyntaxError,
    /// The two readers disagree.
    ReadersDisagree,
    /// A named limit is exceeded.
    LimitExceeded,
    /// Not valid UTF-8, or a NUL byte.
    BadEncoding,
    /// The policy engine failed.
    PolicyError,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 16] = [
        Reason::ForeignSchema,
        Reason::ForeignRole,
        Reason::ForeignDatabase,
        Reason::PinnedSetting,
        Reason::ForbiddenFunction,
        Reason::HiddenCatalog,
        Reason::ServerFile,
        Reason::ForbiddenStatement,
        Reason::ComputedName,
        Reason::NoRight,
        Reason::NotUnderstood,
        Reason::SyntaxError,
        Reason::ReadersDisagree,
        Reason::LimitExceeded,
        Reason::BadEncoding,
        Reason::PolicyError,
    ];

    /// The code in the audit trail and in the metric `palisade_denials_total{reason}`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Reason::ForeignSchema => "foreign_schema",
            Reason::ForeignRole => "foreign_role",
            Reason::ForeignDatabase => "foreign_database",
            Reason::PinnedSetting => "pinned_setting",
            Reason::ForbiddenFunction => "forbidden_function",
            Reason::HiddenCatalog => "hidden_catalog",
            Reason::ServerFile => "server_file",
            Reason::ForbiddenStatement => "forbidden_statement",
            Reason::ComputedName => "computed_name",
            Reason::NoRight => "no_right",
            Reason::NotUnderstood => "not_understood",
            Reason::SyntaxError => "syntax_error",
            Reason::ReadersDisagree => "readers_disagree",
            Reason::LimitExceeded => "limit_exceeded",
            Reason::BadEncoding => "bad_encoding",
            Reason::PolicyError => "policy_error",
        }
    }
}

/// The text may not be sent. The client sees the first six fields and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Five characters, as PostgreSQL gives for a thing that does not exist or a right that is missing.
    pub sqlstate: &'static str,
    /// PostgreSQL's words. Never says whether the thing exists for somebody else.
    pub message: String,
    /// DETAIL, where PostgreSQL has one.
    pub detail: Option<String>,
    /// HINT, where PostgreSQL has one.
    pub hint: Option<String>,
    /// Where, in characters from 1 as PostgreSQL counts, in the text that the client sent.
    pub position: Option<usize>,
    /// How many statements stand before the refused one. PostgreSQL would have run those; Palisade refuses the
    /// whole text, because a simple query is one implicit transaction.
    pub statement: usize,
    /// For the audit trail and metrics.
    pub reason: Reason,
    /// The verb of the refused statement, where it could be read.
    pub verb: &'static str,
    /// The policy line that denied, if one did; `None` means that no line allowed it.
    pub rule: Option<String>,
    /// The object, for the audit trail only: `class schema.name action`.
    pub object: Option<String>,
}

/// Permit or denial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The text may be sent.
    Permit(Permit),
    /// The text may not be sent.
    Deny(Box<Denial>),
}
