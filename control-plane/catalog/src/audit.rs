//! One event schema for both planes. No literal, parameter value, secret or token ever stands in an event.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// Version of this schema; a reader refuses a higher one.
pub const SCHEMA_VERSION: u16 = 1;

/// Writes events, given as the text of a JSON array: both planes'. One that is there already stays as it is.
pub const WRITE: &str = "SELECT palisade_control.audit_write($1::text::jsonb)";

/// How carefully an event is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Class {
    /// Never lost: durable before the client has its answer.
    A,
    /// Written asynchronously, at least once.
    B,
    /// Counted and sampled.
    C,
}

/// Which plane wrote an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Plane {
    /// The proxy.
    Data,
    /// The control plane.
    Control,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Decision {
    /// Permitted.
    Allow,
    /// Refused.
    Deny,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Event {
    /// [`SCHEMA_VERSION`].
    pub v: u16,
    /// Unique; time-ordered (UUID version 7).
    pub id: Uuid,
    /// When, in UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// A, B or C.
    pub class: Class,
    /// Which plane.
    pub plane: Plane,
    /// What was done: `login`, `statement`, `tenant.create`, `tenant.suspend`, …
    pub action: String,
    /// Permitted or refused.
    pub decision: Decision,
    /// How it ended: `ok`, `denied`, `failed`.
    pub result: String,
    /// Who: a login, `<subject>` of a token, or `system`.
    pub actor: String,
    /// The tenant's id, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The tenant's slug as it was then, or as the client wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_addr: Option<String>,
    /// The proxy's session, or the API's request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The operation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Uuid>,
    /// The role kind of the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_kind: Option<String>,
    /// The statement's verb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// The statement with every literal replaced by `$n`; absent where it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<String>,
    /// The first 16 hexadecimal digits of the shape's SHA-256: statements that differ in literals only have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The object, `class schema.name action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The reason's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The policy line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The policy's epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The SQLSTATE that the client got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    /// Anything else, by action: never free text from the client.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Object))]
    pub detail: serde_json::Value,
}

/// What stands for a shape: the first 16 hexadecimal digits of its SHA-256.
#[must_use]
pub fn fingerprint(shape: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(shape.as_bytes())[..8])
}

impl Event {
    /// For [`WRITE`]. An event is made of strings, numbers and times: it always has a JSON form.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Notes the shape of the statement, with its fingerprint.
    pub fn set_shape(&mut self, shape: Option<String>) {
        self.fingerprint = shape.as_deref().map(fingerprint);
        self.shape = shape;
    }

    /// A new event with the fields that every event has.
    #[must_use]
    pub fn new(at: OffsetDateTime, class: Class, plane: Plane, action: &str, actor: &str) -> Self {
        Self {
            v: SCHEMA_VERSION,
            id: Uuid::now_v7(),
            at,
            class,
            plane,
            action: action.to_owned(),
            decision: Decision::Allow,
            result: "ok".to_owned(),
            actor: actor.to_owned(),
            tenant_id: None,
            tenant: None,
            client_addr: None,
            session: None,
            operation: None,
            role_kind: None,
            verb: None,
            shape: None,
            fingerprint: None,
            object: None,
            reason: None,
            rule: None,
            epoch: None,
            sqlstate: None,
            detail: serde_json::Value::Null,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// An event in which every field is given.
    fn full() -> serde_json::Value {
        let mut event = Event::new(OffsetDateTime::UNIX_EPOCH, Class::A, Plane::Data, "statement", "app");
        let some = || Some("x".to_owned());
        (event.tenant_id, event.tenant, event.client_addr, event.session) = (some(), some(), some(), some());
        (event.role_kind, event.verb, event.object, event.reason) = (some(), some(), some(), some());
        (event.rule, event.sqlstate, event.epoch) = (some(), some(), Some(1));
        event.operation = Some(Uuid::nil());
        event.detail = serde_json::json!({ "key": "value" });
        event.set_shape(some());
        serde_json::to_value(event).unwrap()
    }

    #[test]
    fn the_examples_are_events_of_actions_that_the_documentation_names() {
        let table = include_str!("../../../docs/audit.md");
        let text = include_str!("../../../docs/audit-examples.md");
        let examples: Vec<Event> = text
            .split("```json\n")
            .skip(1)
            .map(|rest| serde_json::from_str(rest.split_once("\n```").unwrap().0).unwrap())
            .collect();
        assert!(examples.len() > 30);
        for example in examples {
            assert_eq!(example.v, SCHEMA_VERSION);
            assert!(table.contains(&format!("`{}`", example.action)), "{}", example.action);
        }
    }

    #[test]
    fn the_documentation_names_the_fields_that_there_are() {
        let text = include_str!("../../../docs/audit.md");
        let table = text.split_once("| field |").unwrap().1.split_once("\n\n").unwrap().0;
        let cells = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
        let mut named: Vec<&str> =
            cells.flat_map(|cell| cell.split(',')).map(|name| name.trim_matches([' ', '`'])).collect();
        let event = full();
        let mut fields: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
        named.sort_unstable();
        fields.sort_unstable();
        assert_eq!(named, fields);
    }
}
