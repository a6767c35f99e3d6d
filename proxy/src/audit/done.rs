//! A statement that is over, on its way to the writer: what it shares with its session is not copied.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use palisade_catalog::audit::{Class, Decision, Plane, SCHEMA_VERSION};
use palisade_policies::Namespace;
use palisade_policies::verdict::PermittedStatement;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::clients::Client;
use crate::verdicts::{Judged, Outcome};

/// A permitted statement that was completed, or that failed.
#[derive(Clone)]
pub(crate) struct Done {
    pub(crate) at: OffsetDateTime,
    pub(crate) client: Arc<Client>,
    /// Of its login.
    pub(crate) namespace: Arc<Namespace>,
    /// The text that it is of.
    pub(crate) judged: Arc<Judged>,
    /// Its number in the text, from 0.
    pub(crate) statement: usize,
    /// How many rows it gave or changed, where it says so.
    pub(crate) rows: Option<u64>,
    /// The SQLSTATE that it failed with.
    pub(crate) sqlstate: Option<Box<str>>,
    /// What the client waited for its server connection.
    pub(crate) queue: Duration,
    /// What reading and judging the text took.
    pub(crate) judging: Duration,
    /// What the server took.
    pub(crate) server: Duration,
}

/// An event of a statement that is over, with the fields of [`palisade_catalog::audit::Event`] in their order.
#[derive(Serialize)]
struct Line<'a> {
    v: u16,
    id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    class: Class,
    plane: Plane,
    action: &'a str,
    decision: Decision,
    result: &'a str,
    actor: &'a str,
    tenant_id: &'a str,
    tenant: &'a str,
    client_addr: SocketAddr,
    session: &'a str,
    role_kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqlstate: Option<&'a str>,
    detail: Detail<'a>,
}

/// Times in microseconds.
#[derive(Serialize)]
struct Detail<'a> {
    judging_us: u64,
    objects: &'a [String],
    queue_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    server_us: u64,
}

impl Done {
    /// Nobody waits for it.
    pub(super) const CLASS: Class = Class::B;

    /// Appends the event's JSON.
    pub(super) fn write(&self, to: &mut Vec<u8>) -> serde_json::Result<()> {
        let Outcome::Permit { permit, .. } = &self.judged.outcome else { return Ok(()) };
        let statement: Option<&PermittedStatement> = permit.statements.get(self.statement);
        let (shape, fingerprint) = self.judged.shape();
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let line = Line {
            v: SCHEMA_VERSION,
            id: Uuid::now_v7(),
            at: self.at,
            class: Self::CLASS,
            plane: Plane::Data,
            action: "statement",
            decision: Decision::Allow,
            result: if self.sqlstate.is_some() { "failed" } else { "ok" },
            actor: &self.client.login,
            tenant_id: &self.client.tenant_id,
            tenant: &self.client.tenant,
            client_addr: self.client.address,
            session: &self.client.session,
            role_kind: &self.namespace.kind,
            verb: statement.map(|statement| statement.verb),
            shape,
            fingerprint,
            object: statement.and_then(|statement| statement.objects.first()).map(String::as_str),
            rule: permit.rules.first().map(String::as_str),
            epoch: self.judged.stamp.epoch,
            sqlstate: self.sqlstate.as_deref(),
            detail: Detail {
                judging_us: us(self.judging),
                objects: statement.map_or(&[], |statement| &statement.objects),
                queue_us: us(self.queue),
                rows: self.rows,
                server_us: us(self.server),
            },
        };
        serde_json::to_writer(to, &line)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use palisade_catalog::audit::Event;

    use super::*;

    #[test]
    fn a_line_is_an_event() {
        let objects = vec!["relation items select".to_owned()];
        for given in [true, false] {
            let some = |text| given.then_some(text);
            let line = Line {
                v: SCHEMA_VERSION,
                id: Uuid::now_v7(),
                at: OffsetDateTime::now_utc(),
                class: Done::CLASS,
                plane: Plane::Data,
                action: "statement",
                decision: Decision::Allow,
                result: "ok",
                actor: "app",
                tenant_id: "id",
                tenant: "acme",
                client_addr: "127.0.0.1:5".parse().unwrap(),
                session: "s",
                role_kind: "owner",
                verb: some("SELECT"),
                shape: some("SELECT $1"),
                fingerprint: some("0123"),
                object: some("relation items select"),
                rule: some("p, *"),
                epoch: 7,
                sqlstate: some("22012"),
                detail: Detail {
                    judging_us: 1,
                    objects: &objects,
                    queue_us: 2,
                    rows: given.then_some(3),
                    server_us: 4,
                },
            };
            let text = serde_json::to_string(&line).unwrap();
            let event: Event = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&event).unwrap(), text);
        }
    }
}
