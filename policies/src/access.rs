//! What a statement names: relations, functions, types, settings and the rest, each with its action.

use std::ops::Range;

/// The kind of thing that a name stands for. Tables, views, indexes and sequences share one namespace in
/// PostgreSQL (`pg_class`), so they share [`Class::Relation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Anything in `pg_class`: table, view, materialized view, index, sequence, foreign table.
    Relation,
    /// A function, procedure or aggregate.
    Function,
    /// A type or domain; a relation's row type is named like this too.
    Type,
    /// An operator written with `OPERATOR(schema.op)` or a plain operator that is not built in.
    Operator,
    /// An operator class or family.
    OperatorClass,
    /// A collation.
    Collation,
    /// A text search configuration, dictionary, parser or template.
    TextSearch,
    /// Extended statistics.
    Statistics,
    /// A conversion.
    Conversion,
    /// A schema named as such (`CREATE SCHEMA x`, `IN SCHEMA x`).
    Schema,
    /// A role.
    Role,
    /// A configuration setting (GUC).
    Setting,
    /// A LISTEN/NOTIFY channel.
    Channel,
    /// A file on the server.
    File,
    /// A program on the server (`COPY … PROGRAM`).
    Program,
    /// A procedural language.
    Language,
    /// A database.
    Database,
    /// A tablespace.
    Tablespace,
    /// An extension.
    Extension,
    /// A foreign server, foreign data wrapper or user mapping.
    ForeignServer,
    /// A large object, by number.
    LargeObject,
    /// A publication or subscription.
    Publication,
    /// An event trigger.
    EventTrigger,
    /// An access method.
    AccessMethod,
    /// A cast, transform or another object without a schema of its own.
    Other,
}

impl Class {
    /// Every one.
    pub const ALL: [Class; 25] = [
        Class::Relation,
        Class::Function,
        Class::Type,
        Class::Operator,
        Class::OperatorClass,
        Class::Collation,
        Class::TextSearch,
        Class::Statistics,
        Class::Conversion,
        Class::Schema,
        Class::Role,
        Class::Setting,
        Class::Channel,
        Class::File,
        Class::Program,
        Class::Language,
        Class::Database,
        Class::Tablespace,
        Class::Extension,
        Class::ForeignServer,
        Class::LargeObject,
        Class::Publication,
        Class::EventTrigger,
        Class::AccessMethod,
        Class::Other,
    ];

    /// The word for this class in a policy line (`policies/policy.csv`).
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Class::Relation => "relation",
            Class::Function => "function",
            Class::Type => "type",
            Class::Operator => "operator",
            Class::OperatorClass => "opclass",
            Class::Collation => "collation",
            Class::TextSearch => "textsearch",
            Class::Statistics => "statistics",
            Class::Conversion => "conversion",
            Class::Schema => "schema",
            Class::Role => "role",
            Class::Setting => "setting",
            Class::Channel => "channel",
            Class::File => "file",
            Class::Program => "program",
            Class::Language => "language",
            Class::Database => "database",
            Class::Tablespace => "tablespace",
            Class::Extension => "extension",
            Class::ForeignServer => "server",
            Class::LargeObject => "largeobject",
            Class::Publication => "publication",
            Class::EventTrigger => "eventtrigger",
            Class::AccessMethod => "accessmethod",
            Class::Other => "other",
        }
    }
}

/// What is done with the thing named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Read rows (also `FOR UPDATE`, `COPY … TO`).
    Select,
    /// Add rows (also `COPY … FROM`).
    Insert,
    /// Change rows.
    Update,
    /// Remove rows.
    Delete,
    /// `TRUNCATE`.
    Truncate,
    /// Named without reading its rows: a cast, a foreign key, a column qualifier, an argument type.
    Usage,
    /// `CALL`, a function call, a trigger's function.
    Execute,
    /// Made new.
    Create,
    /// Changed in shape.
    Alter,
    /// Removed.
    Drop,
    /// `COMMENT ON`, `SECURITY LABEL`.
    Comment,
    /// `GRANT` and `REVOKE`, `ALTER DEFAULT PRIVILEGES`.
    Grant,
    /// `LOCK TABLE`.
    Lock,
    /// `VACUUM`, `ANALYZE`, `CLUSTER`, `REINDEX`, `REFRESH MATERIALIZED VIEW`, `CHECKPOINT`.
    Maintain,
    /// A setting is changed; a role is switched to.
    Set,
    /// A setting is read.
    Show,
    /// `LISTEN` or `UNLISTEN`.
    Listen,
    /// `NOTIFY`.
    Notify,
}

impl Action {
    /// Every one.
    pub const ALL: [Action; 18] = [
        Action::Select,
        Action::Insert,
        Action::Update,
        Action::Delete,
        Action::Truncate,
        Action::Usage,
        Action::Execute,
        Action::Create,
        Action::Alter,
        Action::Drop,
        Action::Comment,
        Action::Grant,
        Action::Lock,
        Action::Maintain,
        Action::Set,
        Action::Show,
        Action::Listen,
        Action::Notify,
    ];

    /// The word for this action in a policy line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Action::Select => "select",
            Action::Insert => "insert",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Truncate => "truncate",
            Action::Usage => "usage",
            Action::Execute => "execute",
            Action::Create => "create",
            Action::Alter => "alter",
            Action::Drop => "drop",
            Action::Comment => "comment",
            Action::Grant => "grant",
            Action::Lock => "lock",
            Action::Maintain => "maintain",
            Action::Set => "set",
            Action::Show => "show",
            Action::Listen => "listen",
            Action::Notify => "notify",
        }
    }
}

/// Which reader saw the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reader {
    /// PostgreSQL's own grammar: the authority.
    Grammar,
    /// `sqlparser`: the witness. A name that only it saw is judged too.
    Witness,
}

/// Where a name stands in the text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Written as identifiers: `database.schema.name`, each with its own range (quotes included).
    Identifiers {
        /// The database part, if written.
        database: Option<Range<usize>>,
        /// The schema part, if written.
        schema: Option<Range<usize>>,
        /// The name itself.
        name: Range<usize>,
    },
    /// Written inside a string constant (`'public.t'::regclass`, `nextval('s')`); the range is the whole constant
    /// with its quotes and prefix.
    Constant(Range<usize>),
    /// A keyword form that PostgreSQL turns into this name (`current_schema`, `SET SCHEMA`); the range is the keyword.
    Keyword(Range<usize>),
    /// The value of a setting (`SET search_path = …`, the second argument of `set_config`); the range is all of it.
    Value(Range<usize>),
    /// Inside the body of a function, which is a string constant of this text.
    Body,
    /// The reader cannot say where. Such an access can be judged but never rewritten.
    Unknown,
}

/// One name that a statement uses, with what it does to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// What kind of thing.
    pub class: Class,
    /// What is done to it.
    pub action: Action,
    /// The database part as written, folded and truncated as PostgreSQL does.
    pub database: Option<String>,
    /// The schema part as written, folded and truncated.
    pub schema: Option<String>,
    /// The name, folded and truncated (63 bytes).
    pub name: String,
    /// For a setting that is set: its value, the parts joined by commas; `None` where it is computed. For a function that
    /// takes an object by name or number: [`Access::COMPUTED`] where that is no constant name.
    pub value: Option<String>,
    /// Where it stands.
    pub place: Place,
    /// For a type that something computed is cast to by `CAST (… AS type)`: the byte where that begins.
    pub cast: Option<usize>,
    /// Whether it is read from a string constant or a setting's value: then it is what a client has written there, and may
    /// be no name at all.
    pub literal: bool,
    /// Which reader saw it.
    pub reader: Reader,
}

impl Access {
    /// See [`Access::value`].
    pub(crate) const COMPUTED: &'static str = "computed";
}
