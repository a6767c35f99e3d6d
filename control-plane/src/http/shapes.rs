//! Shapes of answers that another crate makes, for the OpenAPI document. A test keeps them true.
#![allow(dead_code, reason = "they are described, not made")]

use utoipa::ToSchema;

/// How a text is read, judged and rewritten.
#[derive(ToSchema)]
pub(crate) struct Explanation {
    /// `permit` or `deny`.
    verdict: String,
    /// The text that is sent instead, where it is another.
    rewritten: Option<String>,
    /// What the client is told.
    denial: Option<ExplainedDenial>,
    /// Whether the second reader could read the text.
    witnessed: bool,
    statements: Vec<ExplainedStatement>,
}

/// A denial as the client sees it, with the reason's code.
#[derive(ToSchema)]
pub(crate) struct ExplainedDenial {
    sqlstate: String,
    /// PostgreSQL's words.
    message: String,
    hint: Option<String>,
    /// The reason's code.
    reason: String,
    /// The policy line that denied, if one did.
    rule: Option<String>,
    /// The smallest change of the policy that would permit the text: lines to add (`+ p, …`) and to take out
    /// (`- p, …`). Empty where no policy can permit it.
    change: Vec<String>,
}

/// One statement.
#[derive(ToSchema)]
pub(crate) struct ExplainedStatement {
    /// `SELECT`, `CREATE TABLE` …
    verb: String,
    /// `read`, `write`, `ddl` or `session`.
    kind: String,
    /// Everything that it names.
    accesses: Vec<ExplainedAccess>,
    /// What it does to the session.
    effects: Vec<String>,
}

/// One access.
#[derive(ToSchema)]
pub(crate) struct ExplainedAccess {
    class: String,
    action: String,
    schema: Option<String>,
    name: String,
    /// What the name means for this tenant.
    resolved: String,
    /// The policy line that permits it.
    rule: Option<String>,
    /// Why it is refused.
    reason: Option<String>,
    /// Which reader saw it.
    reader: String,
}

/// What is wrong with a policy.
#[derive(ToSchema)]
pub(crate) struct PolicyFault {
    /// The line from 1; absent where it is about the whole.
    line: Option<usize>,
    message: String,
}

/// One answer that is another under a new policy.
#[derive(ToSchema)]
pub(crate) struct PolicyDifference {
    /// The role kind.
    kind: String,
    action: String,
    class: String,
    /// Where the thing stands.
    #[schema(rename = "where")]
    place: String,
    /// A name that one of the policies names, or `(any)`.
    name: String,
    /// Whether the new policy allows it; the old one says the contrary.
    allowed: bool,
}

#[cfg(test)]
mod tests {
    use palisade_policies::{Judge, Limits, Namespace, explain};
    use serde_json::Value;
    use utoipa::PartialSchema;

    use super::*;

    fn described<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    fn has(value: &Value, described: &[String]) {
        for key in value.as_object().unwrap().keys() {
            assert!(described.contains(key), "the answer's field \"{key}\" is not described");
        }
    }

    #[test]
    fn the_described_explanation_is_the_real_one() {
        let judge = Judge::embedded().unwrap();
        let namespace = Namespace {
            kind: "app".into(),
            schema: "t_aaaaaaaaaaaaaaaaaaaa".into(),
            database: "acme".into(),
            shared: vec![],
        };
        for sql in ["SELECT * FROM public.users", "SELECT * FROM other.users"] {
            let value = serde_json::to_value(explain(&judge, sql, &namespace, &Limits::default())).unwrap();
            has(&value, &described::<Explanation>());
            has(&value["statements"][0], &described::<ExplainedStatement>());
            has(&value["statements"][0]["accesses"][0], &described::<ExplainedAccess>());
            if !value["denial"].is_null() {
                has(&value["denial"], &described::<ExplainedDenial>());
            }
        }
    }
}
