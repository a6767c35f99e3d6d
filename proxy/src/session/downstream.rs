//! Server to client: errors and notices are renamed; a replaced text's error becomes the denial.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use palisade_wire::error::Fields;
use palisade_wire::frame::{self, HEADER_BYTES, Header};

use super::flow::{Failure, Parse, Status, Step, Unnamed};
use super::upstream::put;
use super::{End, Link, Session};
use crate::clients::{State, end_own_work};
use crate::pins;
use crate::statements::{Named, Prepared};
use crate::timeouts;
use crate::verdicts::{Judged, Outcome};

/// Longest message of the server that is held whole (errors, notices, notifications), in bytes.
const HELD_BYTES: usize = 4 << 20;

impl Session {
    /// Reads what the server has said as far as it goes.
    pub(super) fn downstream(&mut self, link: &mut Link) -> Result<(), End> {
        let mut input = std::mem::take(&mut link.held.server.input);
        let result = self.answers(link, &mut input);
        link.held.server.input = input;
        result
    }

    /// Messages that go on unchanged are copied in runs: `at` is where the run that is being read ends.
    fn answers(&mut self, link: &mut Link, input: &mut BytesMut) -> Result<(), End> {
        let mut at = 0;
        loop {
            let here = link.pass.min(input.len() - at);
            link.pass -= here;
            at += here;
            if link.drop > 0 {
                flush(link, input, &mut at);
                let here = link.drop.min(input.len());
                input.advance(here);
                link.drop -= here;
            }
            if link.pass == 0 && link.flow.has_due() {
                // It stands behind the message that was just read.
                flush(link, input, &mut at);
                self.due(link);
            }
            let Some(header) = frame::header(&input[at..]).map_err(|_| broken())? else { break };
            let whole = HEADER_BYTES + header.body;
            if !matches!(header.tag, b'E' | b'N' | b'S' | b'A' | b'C' | b'Z') {
                let step = link.flow.answer(header.tag, 0).map_err(|_| broken())?;
                if step.hide {
                    link.drop = whole;
                } else {
                    link.pass = whole;
                }
                continue;
            }
            if header.body > HELD_BYTES {
                return Err(broken());
            }
            if input.len() - at < whole {
                break;
            }
            if header.tag == b'C' {
                // What is put in its place stands behind what was read before.
                flush(link, input, &mut at);
            }
            if self.held(link, header, &input[at + HEADER_BYTES..at + whole])? {
                at += whole;
            } else {
                // It is changed, or is not for the client.
                flush(link, input, &mut at);
                let message = input.split_to(whole);
                self.changed(link, header, &message[HEADER_BYTES..])?;
            }
        }
        flush(link, input, &mut at);
        Ok(())
    }

    /// Answers of ours that are due.
    pub(super) fn due(&mut self, link: &mut Link) {
        while let Some(tag) = link.flow.due() {
            put(&mut link.to_client, tag, &[]);
        }
    }

    /// CommandComplete and ReadyForQuery; says whether the message goes on as it is.
    fn held(&mut self, link: &mut Link, header: Header, body: &[u8]) -> Result<bool, End> {
        if !matches!(header.tag, b'C' | b'Z') {
            return Ok(false);
        }
        let first = body.first().copied().unwrap_or_default();
        let Step { hide, completed, ready, types } =
            link.flow.answer(header.tag, first).map_err(|_| broken())?;
        self.pool.types.permit(types);
        if hide
            && header.tag == b'C'
            && let Some(asked) = link.asked
        {
            let mut gone = asked;
            gone.remove(pins::answer(asked, body));
            gone.remove(link.renewed);
            self.unpin(link, gone);
        }
        let mut show = false;
        if let Some((judged, statement)) = completed {
            show = !hide && judged.verb(statement) == Some("SHOW") && body.starts_with(b"SELECT");
            self.completed(link, &judged, statement, body);
        }
        if ready {
            self.ready(link);
        }
        if show {
            // It was answered by a query of ours.
            put(&mut link.to_client, b'C', &[b"SHOW\0"]);
        }
        Ok(!hide && !show)
    }

    /// ReadyForQuery.
    fn ready(&mut self, link: &mut Link) {
        self.info.begin(State::Active);
        if std::mem::take(&mut link.prelude) {
            end_own_work(&self.shared, &self.info);
            self.tell(link);
        } else if link.asked.take().is_none() && link.flow.status() == Status::Idle {
            self.settle(link);
            self.count(link);
            link.portals.clear();
            self.ask(link);
        }
    }

    /// Tells the client what it does not know yet of the connection's parameters.
    pub(super) fn tell(&mut self, link: &mut Link) {
        let server = &link.held.server;
        if Arc::ptr_eq(&server.parameters, &self.parameters) || !Arc::ptr_eq(&server.settings, &self.settings)
        {
            return;
        }
        for (name, value) in server.parameters.iter() {
            if self.parameters.get(name) != Some(value) {
                put(&mut link.to_client, b'S', &[name.as_bytes(), b"\0", value.as_bytes(), b"\0"]);
            }
        }
        self.parameters = server.parameters.clone();
    }

    /// A message that the client does not see as it is.
    fn changed(&mut self, link: &mut Link, header: Header, body: &[u8]) -> Result<(), End> {
        match header.tag {
            b'S' => self.parameter(link, body),
            b'A' => self.notification(link, body),
            b'N' => {
                let mut fields = Fields::read(body).ok_or_else(broken)?;
                if !link.prelude && !skips_unnamed(&fields, link.flow.busy_with()) {
                    self.pool.names.fields(&mut fields, |_| None);
                    link.to_client.extend_from_slice(&fields.message(b'N'));
                }
                Ok(())
            }
            b'E' => self.error(link, body),
            // A hidden CommandComplete or ReadyForQuery.
            _ => Ok(()),
        }
    }

    fn error(&mut self, link: &mut Link, body: &[u8]) -> Result<(), End> {
        let mut fields = Fields::read(body).ok_or_else(broken)?;
        if link.prelude {
            // What was accepted on another connection is refused on this one: it cannot serve this client.
            link.fatal = true;
            tracing::warn!(sqlstate = fields.get(b'C'), "settings of a session could not be brought over");
            return Err(End::Fatal(
                "08006",
                "the session could not be continued on another connection".into(),
            ));
        }
        let severity = fields.get(b'V').unwrap_or_default();
        if matches!(severity, "FATAL" | "PANIC") {
            link.fatal = true;
        }
        let Failure { quiet, judged, statement, undone, parse_failed } = link.flow.error();
        self.undo(link, undone, parse_failed);
        if quiet {
            return Ok(());
        }
        link.failed = true;
        let sqlstate = fields.get(b'C').unwrap_or_default().to_owned();
        self.shared.metrics.error(&sqlstate);
        if link.is_timed()
            && let Some(judged) = &judged
        {
            self.done(link, judged, statement, Err(&sqlstate));
        }
        if sqlstate == "0A000" && fields.get(b'R') == Some("RevalidateCachedQuery") {
            // Somebody else has changed definitions: what is prepared from now on gets a new plan.
            self.pool.definitions.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        }
        if let Some(answer) = judged.as_deref().and_then(Judged::answer)
            && sqlstate == "42601"
        {
            link.to_client.extend_from_slice(&answer.message(b'E'));
            return Ok(());
        }
        if sqlstate == "57014" && self.info.was_timed_out() {
            fields = fields.replaced(b'M', "canceling statement due to statement timeout");
            fields = fields.with(b'H', timeouts::limit("57014"));
        }
        if let Some(missing) = self.pool.names.foreign(&fields) {
            link.to_client.extend_from_slice(&missing.message(b'E'));
            return Ok(());
        }
        self.pool.names.fields(&mut fields, |place| match judged.as_deref() {
            Some(judged) if matches!(judged.outcome, Outcome::Permit { .. }) => Some(judged.position(place)),
            _ => None,
        });
        link.to_client.extend_from_slice(&fields.message(b'E'));
        Ok(())
    }

    /// Takes back what was noted of Parses that did not happen, the last one first. What was entered since stays.
    fn undo(&mut self, link: &mut Link, undone: Vec<Parse>, parse_failed: bool) {
        for (index, parse) in undone.into_iter().enumerate().rev() {
            if let Some((name, entered)) = parse.name
                && matches!(self.names.get(&name), Some(Named::Protocol(there)) if Arc::ptr_eq(there, &entered))
            {
                self.names.remove(&name);
            }
            if let Some(statement) = parse.statement {
                link.held.server.statements.pop(&statement);
            }
            let Some(Unnamed { entered, client, server }) = parse.unnamed else { continue };
            // The one that failed has dropped the statement before it; a skipped one has not.
            let dropped = parse_failed && index == 0;
            let is = |there: &Option<Arc<Prepared>>| there.as_ref().is_some_and(|p| Arc::ptr_eq(p, &entered));
            if is(&link.held.server.unnamed) {
                link.held.server.unnamed = server.filter(|_| !dropped);
            }
            if !parse.quiet && is(&self.unnamed) {
                self.unnamed = client.filter(|_| !dropped);
            }
        }
    }

    /// A setting that changes how text is read must not move: the session ends where code moved it unseen.
    fn parameter(&mut self, link: &mut Link, body: &[u8]) -> Result<(), End> {
        let (name, rest) = frame::c_string(body).ok_or_else(broken)?;
        let (value, _) = frame::c_string(rest).ok_or_else(broken)?;
        let moved = match name {
            b"client_encoding" => value != b"UTF8",
            b"standard_conforming_strings" => value != b"on",
            _ => false,
        };
        if moved {
            link.fatal = true;
            return Err(End::Fatal(
                "42501",
                "a setting that changes how statements are read was changed".into(),
            ));
        }
        let name = String::from_utf8_lossy(name).into_owned();
        let value = self.pool.shown(&name, &String::from_utf8_lossy(value));
        let server = &mut link.held.server;
        let known = !link.prelude && Arc::ptr_eq(&server.parameters, &self.parameters);
        if !link.prelude {
            put(&mut link.to_client, b'S', &[name.as_bytes(), b"\0", value.as_bytes(), b"\0"]);
        }
        Arc::make_mut(&mut server.parameters).insert(name, value);
        server.parameters = self.pool.one(server.parameters.clone());
        if known {
            self.parameters = server.parameters.clone();
        }
        Ok(())
    }

    /// A notification under the channel's own name.
    fn notification(&mut self, link: &mut Link, body: &[u8]) -> Result<(), End> {
        let (pid, rest) = body.split_first_chunk::<4>().ok_or_else(broken)?;
        let (channel, payload) = frame::c_string(rest).ok_or_else(broken)?;
        let channel = self.pool.names.logical(&String::from_utf8_lossy(channel));
        put(&mut link.to_client, b'A', &[&pid[..], channel.as_bytes(), b"\0", payload]);
        Ok(())
    }
}

/// VACUUM and ANALYZE of everything say of each table of the database that they skip it: other tenants' are named there.
/// A table that the statement itself names is the tenant's own.
fn skips_unnamed(fields: &Fields, statement: Option<&Judged>) -> bool {
    // The routine's name before PostgreSQL 17, and since.
    let routine = fields.get(b'R');
    if !matches!(routine, Some("vacuum_is_relation_owner" | "vacuum_is_permitted_for_relation")) {
        return false;
    }
    let named = fields.get(b'M').and_then(|text| text.split('"').nth(1));
    !named.zip(statement).is_some_and(|(table, statement)| statement.text.contains(table))
}

/// Copies the run that was read to the client, in one piece.
fn flush(link: &mut Link, input: &mut BytesMut, at: &mut usize) {
    link.to_client.extend_from_slice(&input[..*at]);
    input.advance(*at);
    *at = 0;
}

fn broken() -> End {
    End::Fatal("08P01", "the server's answer is not understood".into())
}
