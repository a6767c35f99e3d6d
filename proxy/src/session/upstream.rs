//! Client to server: every text is judged; a denied one is replaced.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use palisade_policies::{Effect, Permit};
use palisade_wire::error::Fields;
use palisade_wire::frame::{self, HEADER_BYTES, Header};

use super::flow::{Op, Parse};
use super::{End, Link, Session};
use crate::pins::Pins;
use crate::policy::Stamp;
use crate::pool::Pool;
use crate::statements::Named;
use crate::verdicts::{Judged, Outcome, unreadable};

/// What a Parse message holds besides its text, in bytes: a name and the types of 65,535 parameters.
const PARSE_EXTRA_BYTES: usize = 300_000;
/// Longest message of those that are held whole and hold no text, in bytes.
const SHORT_BYTES: usize = 64 << 10;
/// Most answers that a client may have outstanding.
const PIPELINE: usize = 100_000;
/// What is sent for a text that is denied: no SQL begins so.
pub(super) const DENIED: &str = "palisade_denied";

/// The rest of a message that is not held whole.
#[derive(Debug)]
pub(super) enum Rest {
    /// Goes on to the server.
    Pass(usize),
    /// Is dropped.
    Drop(usize),
}

/// Moves on with a message that is not held whole.
pub(super) fn take_rest(rest: &mut Rest, input: &mut BytesMut, output: Option<&mut BytesMut>) {
    match (rest, output) {
        (Rest::Pass(left), Some(output)) => {
            let here = (*left).min(input.len());
            output.extend_from_slice(&input[..here]);
            input.advance(here);
            *left -= here;
        }
        (Rest::Pass(left) | Rest::Drop(left), _) => {
            let here = (*left).min(input.len());
            input.advance(here);
            *left -= here;
        }
    }
}

/// A message that is too long for anything ends the session.
pub(super) fn within(pool: &Pool, header: Header) -> Result<(), End> {
    let limit = pool.max_message_bytes;
    if header.body > limit {
        let text = format!("message of {} bytes is longer than max_message_bytes ({limit})", header.body);
        return Err(End::Fatal("54000", text));
    }
    Ok(())
}

pub(super) fn malformed() -> End {
    End::Fatal("08P01", "invalid message format".into())
}

impl Session {
    /// Reads what the client has said as far as it goes.
    pub(super) fn upstream(&mut self, link: &mut Link) -> Result<(), End> {
        let mut input = std::mem::take(&mut self.input);
        let result = self.messages(link, &mut input);
        self.input = input;
        if link.pass == 0 && link.drop == 0 {
            self.due(link);
        }
        result
    }

    fn messages(&mut self, link: &mut Link, input: &mut BytesMut) -> Result<(), End> {
        // Nothing more is read before events are durable.
        while link.events.is_empty() && link.reading.is_none() {
            take_rest(&mut self.rest, input, Some(&mut link.to_server));
            let Some(header) = frame::header(input).map_err(|e| End::Fatal("08P01", e.to_string()))? else {
                return Ok(());
            };
            within(&self.pool, header)?;
            if link.flow.len() > PIPELINE {
                return Err(End::Fatal("54000", format!("more than {PIPELINE} messages in one pipeline")));
            }
            if !self.enough(header, input)? {
                return Ok(());
            }
            if self.held_bytes(header).is_none() {
                self.too_long(link, header);
                input.advance(HEADER_BYTES);
                self.rest = Rest::Drop(header.body);
                continue;
            }
            if self.reads(link, header, input) {
                return Ok(());
            }
            self.message(link, header, input)?;
            link.read_text = None;
        }
        Ok(())
    }

    /// Whether so much of a message is there that something can be done with it.
    pub(super) fn enough(&self, header: Header, input: &[u8]) -> Result<bool, End> {
        match self.held_bytes(header) {
            None => Ok(true),
            // A Bind is held as far as its names go.
            Some(_) if header.tag == b'B' && input.len() < HEADER_BYTES + header.body => {
                Ok(self.bind_names(&input[HEADER_BYTES..])?.is_some())
            }
            Some(needed) => Ok(input.len() >= HEADER_BYTES + needed),
        }
    }

    /// How much of a message's body is held before it is looked at; `None` where that is too much.
    fn held_bytes(&self, header: Header) -> Option<usize> {
        let most = match header.tag {
            b'Q' | b'P' => self.shared.config().max_statement_bytes + PARSE_EXTRA_BYTES,
            b'B' | b'd' => return Some(0),
            _ => SHORT_BYTES,
        };
        (header.body <= most).then_some(header.body)
    }

    fn too_long(&mut self, link: &mut Link, header: Header) {
        if header.tag != b'f' {
            let text =
                format!("the statement is longer than {} bytes", self.shared.config().max_statement_bytes);
            self.refuse(link, header.tag, Fields::new("ERROR", "54000", &text));
        }
    }

    fn message(&mut self, link: &mut Link, header: Header, input: &mut BytesMut) -> Result<(), End> {
        let whole = HEADER_BYTES + header.body;
        // What the server skips is not sent at all, except for what ends the skipping.
        if link.flow.skips() && matches!(header.tag, b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'F') {
            input.advance(HEADER_BYTES);
            self.rest = Rest::Drop(header.body);
            return Ok(());
        }
        if matches!(header.tag, b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'F' | b'S') {
            self.prelude(link);
        }
        if link.is_timed() && link.flow.len() == 0 {
            link.times.begun = Some(Instant::now());
        }
        match header.tag {
            b'B' => return self.bind(link, header, input),
            b'd' => {
                link.to_server.extend_from_slice(&input[..HEADER_BYTES]);
                input.advance(HEADER_BYTES);
                self.rest = Rest::Pass(header.body);
                return Ok(());
            }
            _ => {}
        }
        self.whole(link, header.tag, &input[..whole])?;
        input.advance(whole);
        Ok(())
    }

    /// A message that is there as a whole.
    fn whole(&mut self, link: &mut Link, tag: u8, message: &[u8]) -> Result<(), End> {
        let body = &message[HEADER_BYTES..];
        match tag {
            b'Q' => self.query(link, body, message)?,
            b'P' => self.parse(link, body, message)?,
            b'D' => self.describe(link, body)?,
            b'E' => self.execute(link, body, message)?,
            b'C' => self.close(link, body, message)?,
            b'S' => {
                link.flow.sync();
                link.to_server.extend_from_slice(message);
            }
            b'H' => link.to_server.extend_from_slice(message),
            b'c' | b'f' => {
                link.flow.copy_end();
                link.to_server.extend_from_slice(message);
            }
            b'X' => return Err(End::Gone),
            b'F' => self.refuse(
                link,
                b'F',
                Fields::new(
                    "ERROR",
                    "0A000",
                    "the function call protocol is not supported through the proxy",
                ),
            ),
            tag => return Err(End::Fatal("08P01", format!("invalid frontend message type {tag}"))),
        }
        Ok(())
    }

    /// Brings the connection's settings to what the client has set, before its next transaction.
    fn prelude(&mut self, link: &mut Link) {
        let server = &mut link.held.server;
        if !link.flow.idle() || link.pins.has(Pins::SETTING) {
            return;
        }
        if !server.rerole && Arc::ptr_eq(&server.settings, &self.settings) {
            return;
        }
        let statements = server.bring(&self.settings, self.pool.owner_role());
        if statements.is_empty() {
            return self.tell(link);
        }
        send_text(link, b'Q', &statements.join(";"), b"");
        link.flow.push(Op::Query { judged: None, at: 0, quiet: true });
        link.prelude = true;
        self.info.begin_own_work();
    }

    /// Sends a text that PostgreSQL refuses, in the place of a message of this type; the client gets `answer`.
    pub(super) fn refuse(&mut self, link: &mut Link, tag: u8, answer: Fields) {
        let judged = Arc::new(Judged::refusal(self.stamp(), answer));
        self.replace(link, tag, judged);
    }

    pub(super) fn replace(&mut self, link: &mut Link, tag: u8, judged: Arc<Judged>) {
        if matches!(tag, b'Q' | b'F') {
            send_text(link, b'Q', DENIED, b"");
            link.flow.push(Op::Query { judged: Some(judged), at: 0, quiet: false });
        } else {
            // Under a name: a failed Parse leaves the unnamed statement alone.
            send_parse(link, DENIED, DENIED, b"\0\0");
            let parse =
                Parse { quiet: false, judged: Some(judged), name: None, statement: None, unnamed: None };
            link.flow.push(Op::Parse(parse));
        }
    }

    fn query(&mut self, link: &mut Link, body: &[u8], message: &[u8]) -> Result<(), End> {
        let (text, rest) = frame::c_string(body).ok_or_else(malformed)?;
        if !rest.is_empty() {
            return Err(malformed());
        }
        self.pool.counts.queries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.shared.metrics.queries.inc();
        // PostgreSQL drops the unnamed statement at every simple query.
        self.unnamed = None;
        link.held.server.unnamed = None;
        let judged = self.judge_timed(link, text, true)?;
        self.record(link, &judged);
        let Outcome::Permit { permit, pins, effects, .. } = &judged.outcome else {
            self.replace(link, b'Q', judged);
            return Ok(());
        };
        if *effects {
            if let Some(denied) = self.executes_denied(permit) {
                self.record(link, &denied);
                self.replace(link, b'Q', denied);
                return Ok(());
            }
            for effect in permit.statements.iter().flat_map(|s| &s.effects) {
                self.adopt(link, effect, true);
            }
            self.pin(link, *pins);
        }
        match permit.rewritten.as_deref() {
            Some(text) => send_text(link, b'Q', text, b""),
            None => link.to_server.extend_from_slice(message),
        }
        link.flow.push(Op::Query { judged: Some(judged), at: 0, quiet: false });
        Ok(())
    }

    /// The verdict that stands in the way, where SQL executes statements that were prepared under another policy.
    pub(super) fn executes_denied(&mut self, permit: &Permit) -> Option<Arc<Judged>> {
        permit.statements.iter().flat_map(|s| &s.effects).find_map(|effect| {
            let Effect::Execute { name } = effect else { return None };
            let prepared = self.names.get(name.as_str())?.judged().clone();
            self.denied_again(&prepared)
        })
    }

    /// The verdict of the policy in force on a text that is prepared, where another policy gave the one that it has and
    /// what is prepared is no longer what is permitted.
    pub(super) fn denied_again(&mut self, prepared: &Judged) -> Option<Arc<Judged>> {
        if prepared.stamp == self.stamp() {
            return None;
        }
        // Only the words may have changed.
        match self.judge(prepared.text.as_bytes()) {
            Ok(judged) => (judged.sent() != prepared.sent()).then_some(judged),
            Err(_) => {
                let answer = Fields::new("ERROR", "XX000", "the statement cannot be judged again");
                Some(Arc::new(Judged::refusal(self.stamp(), answer)))
            }
        }
    }

    /// SQL that speaks of a statement that the client prepared by the protocol: it is prepared under the client's own
    /// name too, so that PostgreSQL finds it.
    pub(super) fn adopt(&mut self, link: &mut Link, effect: &Effect, simple: bool) {
        let name = match effect {
            Effect::Execute { name } => name,
            Effect::Deallocate { name: Some(name) } => name,
            _ => return,
        };
        let Some(Named::Protocol(prepared)) = self.names.get(name.as_str()).cloned() else { return };
        let Some(sent) = prepared.judged.sent() else { return };
        send_parse(link, name, sent, &prepared.types);
        let parse = Parse { quiet: true, judged: None, name: None, statement: None, unnamed: None };
        link.flow.push(Op::Parse(parse));
        if simple {
            link.to_server.extend_from_slice(b"S\0\0\0\x04");
            link.flow.push(Op::Sync { quiet: true });
        }
        if matches!(effect, Effect::Execute { .. }) {
            self.names.insert(name.as_str().into(), Named::Sql(prepared.judged.clone()));
            self.pin(link, Pins::PREPARE);
        }
    }

    /// The connection stays with this client from now on.
    pub(super) fn pin(&mut self, link: &mut Link, pins: Pins) {
        link.renewed.add(pins);
        if link.pins.add(pins) {
            for name in pins.names() {
                self.shared.metrics.pins.with_label_values(&[name]).inc();
            }
            *self.info.pins.lock() = link.pins;
        }
    }

    /// The verdict on a text of the client.
    pub(super) fn judge(&mut self, text: &[u8]) -> Result<Arc<Judged>, End> {
        self.judge_text(text, false)
    }

    /// The same, for a statement that is under way.
    pub(super) fn judge_timed(
        &mut self,
        link: &mut Link,
        text: &[u8],
        query: bool,
    ) -> Result<Arc<Judged>, End> {
        let begun = link.is_timed().then(Instant::now);
        let judged = match link.read_before(text).filter(|judged| judged.stamp == self.stamp()) {
            Some(judged) => Ok(judged),
            None => self.judge_text(text, query),
        };
        if let Some(begun) = begun {
            link.times.judging = begun.elapsed();
        }
        judged
    }

    fn judge_text(&mut self, text: &[u8], query: bool) -> Result<Arc<Judged>, End> {
        let metrics = &self.shared.metrics;
        let policy = self.shared.policy.load();
        let wall = policy.wall(&self.info.tenant_id);
        let limits = &self.shared.limits();
        let Ok(text) = std::str::from_utf8(text) else {
            return unreadable(wall, limits, text).map(Arc::new).ok_or_else(malformed);
        };
        let (verdicts, namespace) = (&self.pool.verdicts, &self.pool.namespace);
        let (judged, known) = if query {
            verdicts.judge_query(wall, limits, namespace, text)
        } else {
            verdicts.judge(wall, limits, namespace, text)
        };
        if known {
            metrics.verdict_hits.inc();
        } else {
            metrics.verdict_misses.inc();
        }
        Ok(judged)
    }

    /// What a verdict of now holds for.
    pub(super) fn stamp(&self) -> Stamp {
        self.shared.policy.load().wall(&self.info.tenant_id).stamp()
    }
}

/// Puts a message that begins with a text into what is sent.
pub(super) fn send_text(link: &mut Link, tag: u8, text: &str, rest: &[u8]) {
    put(&mut link.to_server, tag, &[text.as_bytes(), b"\0", rest]);
}

/// Puts a Parse message into what is sent. `types`: count and OIDs.
pub(super) fn send_parse(link: &mut Link, name: &str, text: &str, types: &[u8]) {
    put(&mut link.to_server, b'P', &[name.as_bytes(), b"\0", text.as_bytes(), b"\0", types]);
}

/// Puts a message together at the end of a buffer.
pub(super) fn put(out: &mut BytesMut, tag: u8, parts: &[&[u8]]) {
    let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.reserve(1 + length);
    out.extend_from_slice(&[tag]);
    // What is held whole is far below the protocol's 2 GiB.
    out.extend_from_slice(&i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}
