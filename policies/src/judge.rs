//! Policy over accesses: casbin decides, each distinct question is asked once and remembered.
//!
//! - `resolve`: where a name stands for this tenant.
//! - `engine`: casbin and its memo.
//! - `words`: a denial in PostgreSQL's own words.
//! - `check`: what is wrong with a policy that somebody wrote.
//! - `difference`: what another policy would change.
//! - `change`: the smallest change of a policy that would permit what it refuses.

pub(crate) mod change;
mod check;
mod difference;
mod engine;
pub(crate) mod resolve;
mod words;

use std::collections::BTreeSet;

use crate::access::{Access, Action, Class, Place, Reader};
use crate::limits::Limits;
use crate::names::{self, FunctionUse};
use crate::read::{ReadError, Reading, Statement};
use crate::rewrite;
use crate::verdict::{Denial, MOST_OBJECTS, Permit, PermittedStatement, Reason, Verdict};
use engine::{Answer, Engine, Question};
use resolve::{Resolved, resolve};

pub use check::{Fault, POLICY_BYTES, POLICY_LINES, check};
pub use difference::{Difference, differences};

/// For whom a text is judged. Supplied by the proxy, never by SQL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace {
    /// The role kind: `owner`, `app`, `readonly`, or an operator's own.
    pub kind: String,
    /// The tenant's physical schema, `t_<id>`. To the tenant it is called `public`.
    pub schema: String,
    /// The database's name as the tenant knows it: its slug.
    pub database: String,
    /// Schemas that all tenants may use by name, such as one that holds extensions. Listed by the operator.
    pub shared: Vec<String>,
}

impl Namespace {
    /// The `search_path` that every server connection of this tenant is pinned to.
    #[must_use]
    pub fn search_path(&self) -> String {
        let mut path = self.schema.clone();
        for schema in &self.shared {
            path.push_str(", ");
            path.push_str(schema);
        }
        path.push_str(", pg_temp");
        path
    }
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("policy: {0}")]
pub struct PolicyError(pub String);

/// One access with what was decided about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The access.
    pub access: Access,
    /// Where its name stands for the tenant: `@own`, `pg_catalog`, `@foreign` …
    pub place: &'static str,
    /// The line that permitted it, or the reason that it is refused for, with the line that refuses it, if one does.
    pub outcome: Result<String, (Reason, Option<String>)>,
}

/// One policy at one epoch. A new policy is a new `Judge`; the live one is never changed.
pub struct Judge {
    epoch: u64,
    engine: Engine,
    kinds: BTreeSet<String>,
}

/// The model that comes with Palisade, as text.
pub const MODEL: &str = include_str!("../model.conf");
/// The policy that comes with Palisade, as text.
pub const POLICY: &str = include_str!("../policy.csv");
/// The epoch of the policy that comes with Palisade. What an operator activates has a higher one.
pub const EMBEDDED_EPOCH: u64 = 1;

/// Questions that every usable policy answers so: kind, class, place, action, and whether it must be permitted.
const CANARIES: [(&str, &str, &str, &str, bool); 6] = [
    ("owner", "relation", "@foreign", "select", false),
    ("owner", "relation", "@hidden", "select", false),
    ("owner", "function", "@forbidden", "execute", false),
    ("owner", "setting", "@pinned", "set", false),
    ("owner", "role", "@foreign", "set", false),
    ("owner", "relation", "@own", "select", true),
];

impl Judge {
    /// The model and policy that come with Palisade (`policies/model.conf`, `policies/policy.csv`).
    ///
    /// # Errors
    /// Never for the embedded policy, unless the build is broken.
    pub fn embedded() -> Result<Self, PolicyError> {
        Self::new(MODEL, POLICY, EMBEDDED_EPOCH)
    }

    /// Compiles a policy and tries it on canary questions.
    ///
    /// # Errors
    /// A model or policy that does not parse, is empty, has a line that can mean nothing or must not be, or answers a
    /// canary question wrongly. [`check`] says everything at once.
    pub fn new(model: &str, policy: &str, epoch: u64) -> Result<Self, PolicyError> {
        if let Some(fault) = check::lines(model, policy).first() {
            return Err(PolicyError(fault.to_string()));
        }
        let engine = Engine::new(model, policy)?;
        for (kind, class, place, action, permitted) in CANARIES {
            let question =
                Question { kind: kind.into(), class, place: place.into(), name: "canary".into(), action };
            if matches!(engine.ask(question), Answer::Allow(_)) != permitted {
                let verb = if permitted { "permit" } else { "refuse" };
                return Err(PolicyError(format!("it must {verb} {kind} to {action} a {class} in {place}")));
            }
        }
        Ok(Self { epoch, engine, kinds: check::kinds(policy) })
    }

    /// The role kinds that this policy knows: those with a rule, or that include another kind. Every other kind may
    /// nothing.
    #[must_use]
    pub fn kinds(&self) -> &BTreeSet<String> {
        &self.kinds
    }

    /// Which policy this is; part of every verdict's key.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Judges what was read for one tenant and role kind, and rewrites it. Needs the stack that
    /// [`read`](crate::read::read) needs: the rewritten text is read again.
    #[must_use]
    pub fn judge(&self, text: &str, reading: &Reading, namespace: &Namespace, limits: &Limits) -> Verdict {
        match self.rules(text, reading, namespace) {
            Ok(rules) => permit(text, reading, namespace, limits, rules),
            Err(denial) => Verdict::Deny(denial),
        }
    }

    /// As [`judge`](Self::judge), for a tenant whose policy is only tried: what the policy refuses comes with a permit
    /// too, for PostgreSQL's own grants to answer. What the proxy's own bookkeeping stands on stays refused: pinned and
    /// computed settings, role switches, channels, statements that cannot be read or are refused as such.
    #[must_use]
    pub fn observe(&self, text: &str, reading: &Reading, namespace: &Namespace, limits: &Limits) -> Observed {
        let denial = match self.rules(text, reading, namespace) {
            Ok(rules) => {
                return Observed {
                    verdict: permit(text, reading, namespace, limits, rules),
                    would_deny: None,
                };
            }
            Err(denial) => denial,
        };
        if reading.statements.iter().any(|s| s.forbidden.is_some()) || self.holds_state(reading, namespace) {
            return Observed { verdict: Verdict::Deny(denial), would_deny: None };
        }
        let verdict = permit(text, reading, namespace, limits, Vec::new());
        let would_deny = matches!(verdict, Verdict::Permit(_)).then_some(denial);
        Observed { verdict, would_deny }
    }

    /// Whether anything that is refused would change what the proxy knows of the session, or reach other tenants.
    fn holds_state(&self, reading: &Reading, namespace: &Namespace) -> bool {
        let refused = |access: &&Access| self.decide(access, namespace).is_err();
        reading.statements.iter().flat_map(|s| &s.accesses).filter(refused).any(|access| {
            matches!(access.class, Class::Setting | Class::Channel | Class::Role | Class::Schema)
        })
    }

    /// The lines that permit everything in a reading, or the denial of the first thing that none permits.
    fn rules(
        &self,
        text: &str,
        reading: &Reading,
        namespace: &Namespace,
    ) -> Result<Vec<String>, Box<Denial>> {
        let mut rules: Vec<String> = Vec::new();
        for (index, statement) in reading.statements.iter().enumerate() {
            if let Some(error) = &statement.forbidden {
                let verb = statement.verb;
                let denial = Denial::from_read_error(error.clone());
                return Err(Box::new(Denial { statement: index, verb, ..denial }));
            }
            for access in &statement.accesses {
                if statement.verb == "EXPLAIN" && is_filtered(access, namespace) {
                    return Err(Box::new(explains_catalog(index)));
                }
                match self.decide(access, namespace) {
                    Ok(rule) if rules.contains(&rule) => {}
                    Ok(rule) => rules.push(rule),
                    Err((rule, resolved)) => {
                        return Err(Box::new(denial(text, index, statement, access, &resolved, rule)));
                    }
                }
            }
        }
        Ok(rules)
    }

    /// Whether the policy lets a role kind do something to a thing of a class and name that stands in a place.
    #[must_use]
    pub fn permits(&self, kind: &str, class: Class, place: &str, name: &str, action: Action) -> bool {
        let question = Question {
            kind: kind.into(),
            class: class.word(),
            place: place.into(),
            name: name.into(),
            action: action.word(),
        };
        matches!(self.engine.ask(question), Answer::Allow(_))
    }

    /// Every access of a statement with what is decided about it, for people who ask why.
    #[must_use]
    pub fn decisions(&self, statement: &Statement, namespace: &Namespace) -> Vec<Decided> {
        statement
            .accesses
            .iter()
            .map(|access| Decided {
                access: access.clone(),
                place: resolve(access, namespace).place,
                outcome: self.decide(access, namespace).map_err(|(rule, resolved)| (resolved.reason, rule)),
            })
            .collect()
    }

    fn decide(&self, access: &Access, namespace: &Namespace) -> Result<String, (Option<String>, Resolved)> {
        let resolved = resolve(access, namespace);
        let question = Question {
            kind: namespace.kind.clone(),
            class: access.class.word(),
            place: resolved.place.to_owned(),
            name: access.name.clone(),
            action: access.action.word(),
        };
        // An empty name is one that the statement computes; the policy sees a word for it.
        let question =
            if question.name.is_empty() { Question { name: "*".into(), ..question } } else { question };
        match self.engine.ask(question) {
            Answer::Allow(rule) => Ok(rule),
            Answer::Deny(rule) => Err((rule, resolved)),
        }
    }
}

/// What is sent for a tenant whose policy is only tried.
#[derive(Debug)]
pub struct Observed {
    /// What happens.
    pub verdict: Verdict,
    /// What the policy would have said, where the verdict is a permit all the same.
    pub would_deny: Option<Box<Denial>>,
}

/// What a statement names and the audit trail shows: relations and functions.
fn objects(statement: &Statement) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for access in &statement.accesses {
        let shown = matches!(access.class, Class::Relation | Class::Function) && !access.name.is_empty();
        if shown && access.reader == Reader::Grammar && out.len() < MOST_OBJECTS {
            let object = named(access);
            if !out.contains(&object) {
                out.push(object);
            }
        }
    }
    out
}

/// An object as the audit trail shows it: `class schema.name action`. What stands in a string constant is shown only where
/// it is a name of Palisade's or PostgreSQL's own: anything else may be a secret, and is `$`.
fn named(access: &Access) -> String {
    let shown = |name: &str| {
        if access.literal && !is_public_name(name) { "$".to_owned() } else { name.to_owned() }
    };
    let full = match &access.schema {
        Some(schema) => format!("{}.{}", shown(schema), shown(&access.name)),
        None => shown(&access.name),
    };
    format!("{} {full} {}", access.class.word(), access.action.word())
}

/// Whether a name is PostgreSQL's own, a tenant's in the database, or one that every tenant has.
fn is_public_name(name: &str) -> bool {
    let tenants = name.strip_prefix("t_").and_then(|id| id.get(..20));
    tenants.is_some_and(|id| id.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)))
        || matches!(
            name,
            "" | "*"
                | "public"
                | "information_schema"
                | "owner"
                | "app"
                | "readonly"
                | "search_path"
                | "role"
                | "session_authorization"
        )
        || names::is_catalog_relation(name)
        || names::is_catalog_type(name)
        || names::function(name) != FunctionUse::Unknown
}

fn permit(
    text: &str,
    reading: &Reading,
    namespace: &Namespace,
    limits: &Limits,
    rules: Vec<String>,
) -> Verdict {
    let (rewritten, patches) = match rewrite::rewrite(text, reading, namespace, limits) {
        Ok(done) => done,
        Err(error) => {
            let verb = reading.statements.first().map_or("", |s| s.verb);
            return Verdict::Deny(Box::new(Denial { verb, ..Denial::from_read_error(error) }));
        }
    };
    let statements = reading
        .statements
        .iter()
        .map(|s| PermittedStatement {
            verb: s.verb,
            kind: s.kind,
            effects: s.effects.clone(),
            reads_constants: s.reads_constants,
            objects: objects(s),
        })
        .collect();
    Verdict::Permit(Permit { rewritten, patches, statements, rules })
}

/// Whether a relation is one of the filtered catalogs.
fn is_filtered(access: &Access, namespace: &Namespace) -> bool {
    access.class == Class::Relation
        && resolve(access, namespace)
            .schema
            .is_some_and(|schema| matches!(schema.as_str(), "palisade" | "palisade_info"))
}

/// The plan of a query over a filtered catalog counts what is filtered out.
fn explains_catalog(index: usize) -> Denial {
    let error = ReadError {
        sqlstate: "0A000",
        message: "EXPLAIN of the system catalogs is not supported".into(),
        hint: None,
        position: None,
        reason: Reason::HiddenCatalog,
    };
    Denial { statement: index, verb: "EXPLAIN", ..Denial::from_read_error(error) }
}

fn denial(
    text: &str,
    index: usize,
    statement: &Statement,
    access: &Access,
    resolved: &Resolved,
    rule: Option<String>,
) -> Denial {
    let (sqlstate, message) = words::of(access, resolved);
    // PostgreSQL points at relations and the like in queries, never in definitions.
    let position = match (&access.place, access.class) {
        (Place::Identifiers { database, schema, name }, Class::Relation | Class::Function | Class::Type)
            if access.reader == Reader::Grammar && sqlstate != "42501" =>
        {
            let start = database.as_ref().or(schema.as_ref()).unwrap_or(name).start;
            Some(text[..start].chars().count() + 1)
        }
        _ => None,
    };
    Denial {
        sqlstate,
        message,
        detail: None,
        hint: None,
        position,
        statement: index,
        reason: resolved.reason,
        verb: statement.verb,
        rule,
        object: Some(named(access)),
    }
}

impl Denial {
    /// A text that cannot be read, as a denial.
    #[must_use]
    pub fn from_read_error(error: ReadError) -> Self {
        Self {
            sqlstate: error.sqlstate,
            message: error.message,
            detail: None,
            hint: error.hint,
            position: error.position,
            statement: 0,
            reason: error.reason,
            verb: "",
            rule: None,
            object: None,
        }
    }
}
