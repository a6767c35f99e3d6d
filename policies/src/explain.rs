//! A verdict for people who ask why: every access, where it stands, and the line that decided.

use serde::Serialize;

use crate::access::Reader;
use crate::judge::{Decided, Judge, Namespace, change};
use crate::limits::Limits;
use crate::read::{Statement, read};
use crate::verdict::{Denial, Verdict};

/// How a text is read, judged and rewritten.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// `permit` or `deny`.
    pub verdict: &'static str,
    /// The text that is sent instead, where it is another.
    pub rewritten: Option<String>,
    /// What the client is told.
    pub denial: Option<ExplainedDenial>,
    /// Whether the second reader could read the text.
    pub witnessed: bool,
    /// Its statements.
    pub statements: Vec<ExplainedStatement>,
}

/// A denial as the client sees it, with the reason's code.
#[derive(Debug, Serialize)]
pub struct ExplainedDenial {
    /// SQLSTATE.
    pub sqlstate: &'static str,
    /// PostgreSQL's words.
    pub message: String,
    /// HINT.
    pub hint: Option<String>,
    /// The reason's code.
    pub reason: &'static str,
    /// The policy line that denied, if one did.
    pub rule: Option<String>,
    /// The smallest change of the policy that would permit the text: lines to add (`+ p, …`) and to take out
    /// (`- p, …`). Empty where no policy can permit it.
    pub change: Vec<String>,
}

/// One statement.
#[derive(Debug, Serialize)]
pub struct ExplainedStatement {
    /// `SELECT`, `CREATE TABLE` …
    pub verb: &'static str,
    /// `read`, `write`, `ddl` or `session`.
    pub kind: String,
    /// Everything that it names.
    pub accesses: Vec<ExplainedAccess>,
    /// What it does to the session.
    pub effects: Vec<String>,
}

/// One access.
#[derive(Debug, Serialize)]
pub struct ExplainedAccess {
    /// The class's word.
    pub class: &'static str,
    /// The action's word.
    pub action: &'static str,
    /// The schema as written.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
    /// Where it stands for the tenant.
    pub resolved: &'static str,
    /// The line that permits it; absent where none does.
    pub rule: Option<String>,
    /// The reason that it is refused for.
    pub reason: Option<&'static str>,
    /// `grammar` or `witness`.
    pub reader: &'static str,
}

/// Explains a text. Needs the stack that [`read`] needs.
#[must_use]
pub fn explain(judge: &Judge, text: &str, namespace: &Namespace, limits: &Limits) -> Explanation {
    let reading = match read(text, limits) {
        Ok(reading) => reading,
        Err(error) => return refused(Denial::from_read_error(error), false, Vec::new(), Vec::new()),
    };
    let decided: Vec<_> = reading.statements.iter().map(|s| judge.decisions(s, namespace)).collect();
    let forbidden = reading.statements.iter().any(|s| s.forbidden.is_some());
    let change = if forbidden { None } else { change::smallest(decided.iter().flatten(), &namespace.kind) };
    let statements =
        reading.statements.iter().zip(decided).map(|(s, decided)| statement(s, decided)).collect();
    match judge.judge(text, &reading, namespace, limits) {
        Verdict::Permit(permit) => Explanation {
            verdict: "permit",
            rewritten: permit.rewritten,
            denial: None,
            witnessed: reading.witnessed,
            statements,
        },
        Verdict::Deny(denial) => refused(*denial, reading.witnessed, statements, change.unwrap_or_default()),
    }
}

fn refused(
    denial: Denial,
    witnessed: bool,
    statements: Vec<ExplainedStatement>,
    change: Vec<String>,
) -> Explanation {
    let denial = ExplainedDenial {
        sqlstate: denial.sqlstate,
        message: denial.message,
        hint: denial.hint,
        reason: denial.reason.code(),
        rule: denial.rule,
        change,
    };
    Explanation { verdict: "deny", rewritten: None, denial: Some(denial), witnessed, statements }
}

fn statement(statement: &Statement, decided: Vec<Decided>) -> ExplainedStatement {
    let accesses = decided
        .into_iter()
        .map(|decided| ExplainedAccess {
            class: decided.access.class.word(),
            action: decided.access.action.word(),
            schema: decided.access.schema,
            name: decided.access.name,
            resolved: decided.place,
            reason: decided.outcome.as_ref().err().map(|(reason, _)| reason.code()),
            rule: decided.outcome.ok(),
            reader: if decided.access.reader == Reader::Grammar { "grammar" } else { "witness" },
        })
        .collect();
    ExplainedStatement {
        verb: statement.verb,
        kind: format!("{:?}", statement.kind).to_ascii_lowercase(),
        accesses,
        effects: statement.effects.iter().map(|effect| format!("{effect:?}")).collect(),
    }
}

/// A text with every constant replaced by `$n`, for the audit trail; `None` where that cannot be done in full.
///
/// Statements whose constants PostgreSQL's normaliser leaves alone (DDL, DO, SET and other utility statements may hold
/// passwords and code) have no shape.
#[must_use]
pub fn shape(text: &str) -> Option<String> {
    const PLAIN: [&str; 6] = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES"];
    let verb =
        text.trim_start_matches(|c: char| c.is_whitespace() || c == '(').get(..6)?.to_ascii_uppercase();
    let plain = PLAIN.iter().any(|p| verb.starts_with(p)) || verb.starts_with("WITH ");
    // A comment may hold anything, and a second statement may be of another kind.
    if !plain || text.contains("--") || text.contains("/*") || text.contains(';') {
        return None;
    }
    let shape = pg_query::normalize(text).ok()?;
    (!shape.contains('\'')).then_some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{MODEL, POLICY};

    #[test]
    fn shapes_hold_no_constant() {
        assert_eq!(
            shape("SELECT * FROM t WHERE a = 'x' AND b = 5").as_deref(),
            Some("SELECT * FROM t WHERE a = $1 AND b = $2")
        );
        for text in [
            "ALTER ROLE x PASSWORD 'secret'",
            "SELECT 1 -- secret",
            "SELECT 1 /* secret */",
            "SELECT 1; ALTER ROLE x PASSWORD 'secret'",
            "DO 'secret'",
            "SET x = 'secret'",
            "not SQL 'secret'",
        ] {
            assert_eq!(shape(text), None, "{text}");
        }
    }

    #[test]
    fn an_explanation_names_the_rule_and_the_rewrite() {
        let judge = Judge::embedded().unwrap();
        let ns =
            Namespace { kind: "app".into(), schema: "t_x".into(), database: "acme".into(), shared: vec![] };
        let permitted = explain(&judge, "SELECT * FROM public.users, pg_class", &ns, &Limits::default());
        assert_eq!(permitted.rewritten.as_deref(), Some("SELECT * FROM t_x.users, palisade.pg_class"));
        assert!(permitted.statements[0].accesses.iter().all(|a| a.rule.is_some()));
        let denied = explain(&judge, "SELECT * FROM other.users", &ns, &Limits::default());
        let denial = denied.denial.unwrap();
        assert_eq!((denial.sqlstate, denial.reason), ("42P01", "foreign_schema"));
        assert!(denial.change.is_empty());
    }

    #[test]
    fn the_change_that_is_named_permits_the_text() {
        let with = |kind: &str| Namespace {
            kind: kind.into(),
            schema: "t_x".into(),
            database: "acme".into(),
            shared: vec![],
        };
        let ours = "p, app, relation, @own, secrets, select, deny";
        let base = format!("{POLICY}\n{ours}\n");
        for (kind, sql, want) in [
            ("app", "TRUNCATE public.users", vec!["+ p, app, relation, @own, users, truncate, allow"]),
            ("app", "SELECT * FROM secrets", vec!["- p, app, relation, @own, secrets, select, deny"]),
            (
                "readonly",
                "WITH d AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM d",
                vec![
                    "+ p, readonly, relation, @own, a, delete, allow",
                    "+ p, readonly, relation, @own, b, insert, allow",
                ],
            ),
        ] {
            let judge = Judge::new(MODEL, &base, 2).unwrap();
            let denial = explain(&judge, sql, &with(kind), &Limits::default()).denial.unwrap();
            let mut change = denial.change.clone();
            change.sort();
            assert_eq!(change, want, "{sql}");
            let mut policy = base.clone();
            for line in &denial.change {
                match line.split_at(2) {
                    ("+ ", line) => policy.push_str(&format!("{line}\n")),
                    (_, line) => policy = policy.replace(line, ""),
                }
            }
            let judge = Judge::new(MODEL, &policy, 3).unwrap();
            assert_eq!(explain(&judge, sql, &with(kind), &Limits::default()).verdict, "permit", "{sql}");
        }
    }
}
