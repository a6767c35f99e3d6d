//! What a session puts into the audit trail.

use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_catalog::audit::{Class, Decision, Event, Plane};
use palisade_policies::effect::Kind;
use palisade_policies::{Denial, Reason};
use time::OffsetDateTime;

use super::{End, Link, Session};
use crate::audit::{Done, Entry, NotDurable};
use crate::config::{AuditStatements, WhenFull};
use crate::verdicts::{Judged, Outcome};

/// How long a client waits before it is tried again whether the spool has room.
const ROOM: Duration = Duration::from_secs(1);

/// Where the time of the statement that is under way goes.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// What the client waited for its server connection: told with the first statement.
    pub(super) waited: Duration,
    /// What reading and judging the last text took.
    pub(super) judging: Duration,
    /// When the server was given something to do, or was done with the statement before.
    pub(super) begun: Option<Instant>,
}

impl Session {
    /// A denial is durable before the client sees it; a definition that was permitted is on record too. What only the
    /// grammar refuses is the client's own mistake.
    pub(super) fn record(&mut self, link: &mut Link, judged: &Judged) {
        match &judged.outcome {
            Outcome::Permit { would_deny: Some(denial), .. } => {
                self.shared.metrics.observed.with_label_values(&[denial.reason.code()]).inc();
                link.events.push(self.denied(judged, denial, "observed").into());
            }
            Outcome::Permit { ddl: Some(verb), .. } => {
                let mut event = self.event(judged, Class::B);
                event.verb = Some((*verb).to_owned());
                link.events.push(event.into());
            }
            Outcome::Permit { .. } => {}
            Outcome::Deny { denial, .. } => {
                self.shared.metrics.denials.with_label_values(&[denial.reason.code()]).inc();
                if denial.reason == Reason::SyntaxError {
                    return;
                }
                link.events.push(self.denied(judged, denial, "denied").into());
            }
            Outcome::Refuse { .. } => {}
        }
    }

    /// The event of a denial. `result`: `denied`, or `observed` where PostgreSQL was asked all the same.
    fn denied(&self, judged: &Judged, denial: &Denial, result: &str) -> Event {
        let mut event = self.event(judged, Class::A);
        event.decision = Decision::Deny;
        event.result = result.into();
        event.verb = Some(denial.verb.to_owned());
        event.object.clone_from(&denial.object);
        event.reason = Some(denial.reason.code().to_owned());
        event.rule.clone_from(&denial.rule);
        event.sqlstate = Some(denial.sqlstate.to_owned());
        event
    }

    fn event(&self, judged: &Judged, class: Class) -> Event {
        let mut event =
            Event::new(OffsetDateTime::now_utc(), class, Plane::Data, "statement", &self.info.login);
        event.tenant_id = Some(self.info.tenant_id.clone());
        event.tenant = Some(self.info.tenant.clone());
        event.client_addr = Some(self.info.address.to_string());
        event.session = Some(self.info.session.clone());
        event.role_kind = Some(self.pool.namespace.kind.clone());
        event.epoch = Some(judged.stamp.epoch);
        let (shape, fingerprint) = judged.shape();
        event.shape = shape.map(str::to_owned);
        event.fingerprint = fingerprint.map(str::to_owned);
        event
    }

    /// A permitted statement has been completed, or has failed with this SQLSTATE; `tag` is the body of CommandComplete.
    pub(super) fn done(
        &mut self,
        link: &mut Link,
        judged: &Arc<Judged>,
        statement: usize,
        ended: Result<&[u8], &str>,
    ) {
        let Outcome::Permit { permit, .. } = &judged.outcome else { return };
        let wanted = permit.statements.get(statement).is_some_and(|statement| match link.audited {
            AuditStatements::None => false,
            AuditStatements::Writes => statement.kind == Kind::Write,
            // Definitions are on record already, before they were sent.
            AuditStatements::All => statement.kind != Kind::Ddl,
        });
        if !wanted {
            return;
        }
        let (now, times) = (Instant::now(), &mut link.times);
        let done = Done {
            at: OffsetDateTime::now_utc(),
            client: self.info.clone(),
            namespace: self.pool.namespace.clone(),
            judged: judged.clone(),
            statement,
            rows: ended.ok().and_then(rows),
            sqlstate: ended.err().map(Into::into),
            queue: std::mem::take(&mut times.waited),
            judging: std::mem::take(&mut times.judging),
            server: times.begun.replace(now).map_or(Duration::ZERO, |begun| now - begun),
        };
        // One that has to wait for the disk keeps the client waiting.
        if let Err(entry) = self.shared.audit.offer(Entry::Done(done)) {
            link.events.push(*entry);
        }
    }

    /// Makes the events that wait durable, before anything else is sent.
    pub(super) async fn on_record(&self, link: &mut Link) -> Result<(), End> {
        for entry in link.events.drain(..) {
            while let Err(failed) = self.shared.audit.push(entry.clone()).await {
                let waits = self.shared.config().audit_when_full == WhenFull::Wait;
                if failed != NotDurable::Full || entry.class() == Class::A || !waits {
                    return Err(End::Fatal(failed.sqlstate(), failed.to_string()));
                }
                tokio::time::sleep(ROOM).await;
            }
        }
        Ok(())
    }
}

/// How many rows a CommandComplete speaks of: its last word.
fn rows(tag: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(tag).ok()?;
    text.trim_end_matches('\0').rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn rows_are_the_last_word_of_the_tag() {
        for (tag, want) in
            [(&b"SELECT 3\0"[..], Some(3)), (b"INSERT 0 12\0", Some(12)), (b"BEGIN\0", None), (b"", None)]
        {
            assert_eq!(rows(tag), want);
        }
    }
}
