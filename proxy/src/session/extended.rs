//! The extended protocol: Parse, Bind, Describe, Execute, Close, with named statements under names of ours.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Buf, BytesMut};
use palisade_wire::error::Fields;
use palisade_wire::frame::{self, HEADER_BYTES, Header};

use super::flow::{Op, Parse, Unnamed};
use super::upstream::{Rest, malformed, put, send_parse};
use super::{End, Link, Session};
use crate::statements::{Named, Prepared};
use crate::types::TypeName;
use crate::verdicts::{Judged, Outcome};

/// Longest name of a statement or portal, in bytes. PostgreSQL has no limit of its own here.
const NAME_BYTES: usize = 4 << 10;

/// A transaction's portals, with the text that each runs.
#[derive(Default)]
pub(super) struct Portals {
    /// Nearly all clients use this one alone.
    unnamed: Option<Arc<Judged>>,
    named: HashMap<Box<str>, Arc<Judged>>,
}

impl Portals {
    fn enter(&mut self, name: &str, judged: Arc<Judged>) {
        if name.is_empty() {
            self.unnamed = Some(judged);
        } else {
            self.named.insert(name.into(), judged);
        }
    }

    fn get(&self, name: &str) -> Option<Arc<Judged>> {
        if name.is_empty() { self.unnamed.clone() } else { self.named.get(name).cloned() }
    }

    fn remove(&mut self, name: &str) {
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.named.remove(name);
        }
    }

    /// The transaction is over.
    pub(super) fn clear(&mut self) {
        self.unnamed = None;
        self.named.clear();
    }
}

/// Which statement a message means, on the server connection.
enum Found {
    /// Under this name there.
    As(String, Option<Arc<Judged>>),
    /// There is none: this is the answer.
    Not(Fields),
    /// The policy has changed and denies it now.
    Denied(Arc<Judged>),
}

impl Session {
    pub(super) fn parse(&mut self, link: &mut Link, body: &[u8], message: &[u8]) -> Result<(), End> {
        let (name, rest) = frame::c_string(body).ok_or_else(malformed)?;
        let (text, types) = frame::c_string(rest).ok_or_else(malformed)?;
        let name = std::str::from_utf8(name).map_err(|_| malformed())?;
        if name.len() > NAME_BYTES {
            self.refuse(link, b'P', Fields::new("ERROR", "54000", "the name of a statement is too long"));
            return Ok(());
        }
        let judged = self.judge_timed(link, text, false)?;
        self.record(link, &judged);
        if judged.sent().is_none() {
            // PostgreSQL drops the unnamed statement before it reads the new one.
            self.unnamed = self.unnamed.take().filter(|_| !name.is_empty());
            self.replace(link, b'P', judged);
            return Ok(());
        }
        match self.pool.types.ask(types) {
            Ok(unknown) => ask_types(link, unknown),
            Err(TypeName(name)) => {
                let text = format!("the type of a parameter is given by number, and is {name}");
                let hint = format!("Write the type in the statement: $1::{name}.");
                self.refuse(link, b'P', Fields::new("ERROR", "0A000", &text).with(b'H', Some(&hint)));
                return Ok(());
            }
        }
        self.pool.counts.queries.fetch_add(1, Ordering::Relaxed);
        self.shared.metrics.queries.inc();
        if name.is_empty() {
            self.parse_unnamed(link, judged, types, message);
        } else {
            self.parse_named(link, name, judged, types);
        }
        Ok(())
    }

    fn parse_unnamed(&mut self, link: &mut Link, judged: Arc<Judged>, types: &[u8], message: &[u8]) {
        if judged.rewritten() {
            send_parse(link, "", judged.sent().unwrap_or_default(), types);
        } else {
            link.to_server.extend_from_slice(message);
        }
        let prepared = Arc::new(Prepared { judged: judged.clone(), types: types.into(), server: None });
        let unnamed = Unnamed {
            client: self.unnamed.replace(prepared.clone()),
            server: link.held.server.unnamed.replace(prepared.clone()),
            entered: prepared,
        };
        let parse =
            Parse { quiet: false, judged: Some(judged), name: None, statement: None, unnamed: Some(unnamed) };
        link.flow.push(Op::Parse(parse));
    }

    fn parse_named(&mut self, link: &mut Link, name: &str, judged: Arc<Judged>, types: &[u8]) {
        if self.names.contains_key(name) {
            let text = format!("prepared statement \"{name}\" already exists");
            let answer = Fields::new("ERROR", "42P05", &text).with(b'R', Some("StorePreparedStatement"));
            return self.refuse(link, b'P', answer);
        }
        let most = self.shared.config().client_prepared_statements;
        if self.names.len() >= most {
            let answer = Fields::new("ERROR", "54000", "too many prepared statements")
                .with(b'H', Some(&format!("The proxy's limit is client_prepared_statements ({most}).")));
            return self.refuse(link, b'P', answer);
        }
        let generation = self.pool.definitions.load(Ordering::Acquire);
        let sent = judged.sent().unwrap_or_default();
        let server = match self.pool.statements.server(sent, types, generation) {
            server if link.flow.hoped_for(server.id) => self.pool.statements.fresh(),
            server => server,
        };
        let prepared = Prepared { judged, types: types.into(), server: Some(server) };
        let prepared = Arc::new(prepared);
        let name: Arc<str> = name.into();
        self.names.insert(name.clone(), Named::Protocol(prepared.clone()));
        self.prepare(link, &prepared, Some((name, prepared.clone())));
    }

    /// Makes sure that a named statement is prepared on this connection. `name`: the client's Parse is answered by it.
    fn prepare(&mut self, link: &mut Link, prepared: &Prepared, name: Option<(Arc<str>, Arc<Prepared>)>) {
        let (Some(server), Some(sent)) = (&prepared.server, prepared.judged.sent()) else { return };
        if link.held.server.statements.get(&server.id).is_some() {
            if name.is_some() {
                link.flow.push(Op::Local(b'1'));
            }
            return;
        }
        if let Some((_, old)) = link.held.server.statements.push(server.id, server.clone())
            && old.id != server.id
        {
            put(&mut link.to_server, b'C', &[b"S", old.name.as_bytes(), b"\0"]);
            link.flow.push(Op::Close { quiet: true });
        }
        send_parse(link, &server.name, sent, &prepared.types);
        let parse = Parse {
            quiet: name.is_none(),
            judged: Some(prepared.judged.clone()),
            name,
            statement: Some(server.id),
            unnamed: None,
        };
        link.flow.push(Op::Parse(parse));
    }

    /// The statement that a client means by a name, prepared on this connection.
    fn find(&mut self, link: &mut Link, name: &str) -> Found {
        let known = if name.is_empty() {
            self.unnamed.clone().map(Named::Protocol)
        } else {
            self.names.get(name).cloned()
        };
        let prepared = match known {
            Some(Named::Protocol(prepared)) => prepared,
            Some(Named::Sql(prepared)) => {
                let Some(denied) = self.denied_again(&prepared) else {
                    return Found::As(name.to_owned(), None);
                };
                self.record(link, &denied);
                return Found::Denied(denied);
            }
            None if name.is_empty() => {
                return Found::Not(Fields::new(
                    "ERROR",
                    "26000",
                    "unnamed prepared statement does not exist",
                ));
            }
            None => {
                return Found::Not(missing(&format!("prepared statement \"{name}\" does not exist")));
            }
        };
        if let Some(denied) = self.denied_again(&prepared.judged) {
            self.record(link, &denied);
            return Found::Denied(denied);
        }
        let judged = Some(prepared.judged.clone());
        let Some(server) = &prepared.server else {
            let there = link.held.server.unnamed.as_ref();
            if !there.is_some_and(|there| Arc::ptr_eq(there, &prepared)) {
                send_parse(link, "", prepared.judged.sent().unwrap_or_default(), &prepared.types);
                let unnamed = Unnamed {
                    client: None,
                    server: link.held.server.unnamed.replace(prepared.clone()),
                    entered: prepared,
                };
                let judged = judged.clone();
                let parse =
                    Parse { quiet: true, judged, name: None, statement: None, unnamed: Some(unnamed) };
                link.flow.push(Op::Parse(parse));
            }
            return Found::As(String::new(), judged);
        };
        let there = server.name.clone();
        self.prepare(link, &prepared, None);
        Found::As(there, judged)
    }

    /// The portal's and the statement's name of a Bind, where both are there already.
    pub(super) fn bind_names<'b>(&self, body: &'b [u8]) -> Result<Option<(&'b str, &'b str)>, End> {
        let names = frame::c_string(body).and_then(|(portal, rest)| Some((portal, frame::c_string(rest)?.0)));
        match names {
            Some((portal, statement)) if portal.len() <= NAME_BYTES && statement.len() <= NAME_BYTES => {
                let text = |bytes| std::str::from_utf8(bytes).map_err(|_| malformed());
                Ok(Some((text(portal)?, text(statement)?)))
            }
            None if body.len() <= 2 * NAME_BYTES + 2 => Ok(None),
            _ => Err(End::Fatal("54000", format!("a name is longer than {NAME_BYTES} bytes"))),
        }
    }

    /// Bind: the names are held, the parameters go through.
    pub(super) fn bind(&mut self, link: &mut Link, header: Header, input: &mut BytesMut) -> Result<(), End> {
        let end = input.len().min(HEADER_BYTES + header.body);
        let (portal, statement) = self.bind_names(&input[HEADER_BYTES..end])?.ok_or_else(malformed)?;
        let names = portal.len() + 1 + statement.len() + 1;
        let (portal, statement) = (portal.to_owned(), statement.to_owned());
        let left = header.body.checked_sub(names).ok_or_else(malformed)?;
        input.advance(HEADER_BYTES + names);
        match self.find(link, &statement) {
            Found::As(there, judged) => {
                let length = i32::try_from(4 + portal.len() + 1 + there.len() + 1 + left);
                link.to_server.extend_from_slice(b"B");
                link.to_server.extend_from_slice(&length.map_err(|_| malformed())?.to_be_bytes());
                for part in [portal.as_bytes(), b"\0", there.as_bytes(), b"\0"] {
                    link.to_server.extend_from_slice(part);
                }
                match &judged {
                    Some(judged) => link.portals.enter(&portal, judged.clone()),
                    None => link.portals.remove(&portal),
                }
                link.flow.push(Op::Bind(judged));
                self.rest = Rest::Pass(left);
            }
            Found::Not(answer) => {
                self.refuse(link, b'P', answer);
                self.rest = Rest::Drop(left);
            }
            Found::Denied(judged) => {
                self.replace(link, b'P', judged);
                self.rest = Rest::Drop(left);
            }
        }
        Ok(())
    }

    pub(super) fn describe(&mut self, link: &mut Link, body: &[u8]) -> Result<(), End> {
        let (kind, name) = kind_and_name(body)?;
        if kind == b'P' {
            put(&mut link.to_server, b'D', &[body]);
            link.flow.push(Op::Describe(link.portals.get(name)));
            return Ok(());
        }
        match self.find(link, name) {
            Found::As(there, judged) => {
                put(&mut link.to_server, b'D', &[b"S", there.as_bytes(), b"\0"]);
                link.flow.push(Op::Describe(judged));
            }
            Found::Not(answer) => self.refuse(link, b'P', answer),
            Found::Denied(judged) => self.replace(link, b'P', judged),
        }
        Ok(())
    }

    pub(super) fn execute(&mut self, link: &mut Link, body: &[u8], message: &[u8]) -> Result<(), End> {
        let (portal, rows) = frame::c_string(body).ok_or_else(malformed)?;
        if rows.len() != 4 {
            return Err(malformed());
        }
        let portal = std::str::from_utf8(portal).map_err(|_| malformed())?;
        let judged = link.portals.get(portal);
        if let Some(Outcome::Permit { pins, effects: true, permit, .. }) =
            judged.as_deref().map(|j| &j.outcome)
        {
            if let Some(denied) = self.executes_denied(permit) {
                self.record(link, &denied);
                self.replace(link, b'P', denied);
                return Ok(());
            }
            for effect in permit.statements.iter().flat_map(|s| &s.effects) {
                self.adopt(link, effect, false);
            }
            self.pin(link, *pins);
        }
        link.to_server.extend_from_slice(message);
        link.flow.push(Op::Execute(judged));
        Ok(())
    }

    pub(super) fn close(&mut self, link: &mut Link, body: &[u8], message: &[u8]) -> Result<(), End> {
        let (kind, name) = kind_and_name(body)?;
        if kind == b'P' {
            link.portals.remove(name);
        } else if name.is_empty() {
            self.unnamed = None;
            link.held.server.unnamed = None;
        } else if !matches!(self.names.remove(name), Some(Named::Sql(_))) {
            // It stays prepared there for whoever prepares the same text; closing what is not there is no error.
            link.flow.push(Op::Local(b'3'));
            return Ok(());
        }
        link.to_server.extend_from_slice(message);
        link.flow.push(Op::Close { quiet: false });
        Ok(())
    }
}

/// Asks the server, before the Parse that names them, whether types are the tenant's: PostgreSQL lets anybody name any
/// type of the database by its number. Where they are not, the error stands in the place of the Parse's answer.
fn ask_types(link: &mut Link, types: Vec<u32>) {
    const NAME: &[u8] = b"palisade_types\0";
    if types.is_empty() {
        return;
    }
    let list = types.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let list = format!("{{{list}}}");
    // What an error left behind goes first.
    put(&mut link.to_server, b'C', &[b"S", NAME]);
    link.flow.push(Op::Close { quiet: true });
    send_parse(link, "palisade_types", "SELECT palisade.permit_types($1)", b"\0\x01\0\0\x04\x04");
    link.flow.push(Op::Parse(Parse {
        quiet: true,
        judged: None,
        name: None,
        statement: None,
        unnamed: None,
    }));
    let length = i32::try_from(list.len()).unwrap_or(i32::MAX).to_be_bytes();
    put(&mut link.to_server, b'B', &[NAME, NAME, b"\0\0\0\x01", &length, list.as_bytes(), b"\0\0"]);
    link.flow.push(Op::QuietBind);
    put(&mut link.to_server, b'E', &[NAME, b"\0\0\0\0"]);
    link.flow.push(Op::AskTypes(types));
    put(&mut link.to_server, b'C', &[b"S", NAME]);
    link.flow.push(Op::Close { quiet: true });
}

/// PostgreSQL's answer to a statement that is not there. Drivers know it by the routine (postgres.js prepares again).
fn missing(text: &str) -> Fields {
    Fields::new("ERROR", "26000", text).with(b'R', Some("FetchPreparedStatement"))
}

/// The body of Describe and Close.
fn kind_and_name(body: &[u8]) -> Result<(u8, &str), End> {
    let (&kind, rest) = body.split_first().ok_or_else(malformed)?;
    let (name, rest) = frame::c_string(rest).ok_or_else(malformed)?;
    if !matches!(kind, b'S' | b'P') || !rest.is_empty() || name.len() > NAME_BYTES {
        return Err(malformed());
    }
    Ok((kind, std::str::from_utf8(name).map_err(|_| malformed())?))
}
