//! Policy over accesses: casbin decides, each distinct question is asked once and remembered.
//!
//! - `resolve`: where a name stands for this tenant.
//! - `engine`: casbin and its memo.
//! - `words`: a denial in PostgreSQL's own words.

mod engine;
pub(crate) mod resolve;
mod words;

use crate::access::{Access, Class, Place, Reader};
use crate::limits::Limits;
use crate::read::{ReadError, Reading, Statement};
use crate::rewrite;
use crate::verdict::{Denial, Permit, PermittedStatement, Reason, Verdict};
use engine::{Answer, Engine, Question};
use resolve::{Resolved, resolve};

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
    /// The line that permitted it, or the reason that it is refused.
    pub outcome: Result<String, Reason>,
}

/// One policy at one epoch. A new policy is a new `Judge`; the live one is never changed.
pub struct Judge {
    epoch: u64,
    engine: Engine,
}

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
        Self::new(include_str!("../model.conf"), include_str!("../policy.csv"), 1)
    }

    /// Compiles a policy and tries it on canary questions.
    ///
    /// # Errors
    /// A model or policy that does not parse, is empty, or answers a canary question wrongly.
    pub fn new(model: &str, policy: &str, epoch: u64) -> Result<Self, PolicyError> {
        let engine = Engine::new(model, policy)?;
        for (kind, class, place, action, permitted) in CANARIES {
            let question =
                Question { kind: kind.into(), class, place: place.into(), name: "canary".into(), action };
            if matches!(engine.ask(question), Answer::Allow(_)) != permitted {
                let verb = if permitted { "permit" } else { "refuse" };
                return Err(PolicyError(format!("it must {verb} {kind} to {action} a {class} in {place}")));
            }
        }
        Ok(Self { epoch, engine })
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
        let mut rules: Vec<String> = Vec::new();
        for (index, statement) in reading.statements.iter().enumerate() {
            if let Some(error) = &statement.forbidden {
                return deny(Denial {
                    statement: index,
                    verb: statement.verb,
                    ..Denial::from_read_error(error.clone())
                });
            }
            for access in &statement.accesses {
                match self.decide(access, namespace) {
                    Ok(rule) if rules.contains(&rule) => {}
                    Ok(rule) => rules.push(rule),
                    Err((rule, resolved)) => {
                        return deny(denial(text, index, statement, access, &resolved, rule));
                    }
                }
            }
        }
        let (rewritten, patches) = match rewrite::rewrite(text, reading, namespace, limits) {
            Ok(done) => done,
            Err(error) => {
                let verb = reading.statements.first().map_or("", |s| s.verb);
                return deny(Denial { verb, ..Denial::from_read_error(error) });
            }
        };
        let statements = reading
            .statements
            .iter()
            .map(|s| PermittedStatement { verb: s.verb, kind: s.kind, effects: s.effects.clone() })
            .collect();
        Verdict::Permit(Permit { rewritten, patches, statements, rules })
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
                outcome: self.decide(access, namespace).map_err(|(_, resolved)| resolved.reason),
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

fn deny(denial: Denial) -> Verdict {
    Verdict::Deny(Box::new(denial))
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
    let full = match &access.schema {
        Some(schema) => format!("{schema}.{}", access.name),
        None => access.name.clone(),
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
        object: Some(format!("{} {full} {}", access.class.word(), access.action.word())),
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
