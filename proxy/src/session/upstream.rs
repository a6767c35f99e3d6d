//! Client to server: every text is judged; a denied one is replaced.

use std::sync::atomic::Ordering;

use bytes::BytesMut;
use palisade_catalog::audit::{Class, Decision, Event, Plane};
use palisade_policies::effect::Kind;
use palisade_policies::{Denial, Namespace, Permit, Reason, Verdict, read};
use palisade_wire::error::Fields;
use palisade_wire::frame::{self, HEADER_BYTES, Header, message};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::Shared;
use crate::session::{Dialogue, End, READ_BYTES};

/// What a Parse message holds besides its text, in bytes: a name and the types of 65,535 parameters.
const PARSE_EXTRA_BYTES: usize = 300_000;

/// Who speaks, for the audit trail.
pub(super) struct Who {
    pub(super) tenant_id: String,
    pub(super) tenant: String,
    pub(super) login: String,
    pub(super) address: String,
    pub(super) session: String,
}

/// The rest of a message that is not held whole.
enum Rest {
    /// Goes on to the server.
    Pass(usize),
    /// Is dropped: the message was replaced.
    Drop(usize),
}

/// Relays until the client is gone.
pub(super) async fn relay(
    shared: &Shared,
    dialogue: &Dialogue,
    namespace: &Namespace,
    who: &Who,
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
) -> Result<(), End> {
    let mut input = BytesMut::new();
    let mut output = Vec::new();
    let mut rest = Rest::Pass(0);
    loop {
        input.reserve(READ_BYTES);
        if client.read_buf(&mut input).await? == 0 {
            return Err(End::Gone);
        }
        loop {
            take_rest(&mut rest, &mut input, &mut output);
            if input.is_empty() {
                break;
            }
            let Some(header) = frame::header(&input).map_err(|e| End::Fatal("08P01", e.to_string()))? else {
                break;
            };
            match plan(shared, header)? {
                Plan::Stream => {
                    output.extend_from_slice(&input.split_to(HEADER_BYTES));
                    rest = Rest::Pass(header.body);
                }
                Plan::Refuse(answer) => {
                    let word = dialogue.replace(answer)?;
                    output.extend(replacement(header.tag, b"\0", &word));
                    drop(input.split_to(HEADER_BYTES));
                    rest = Rest::Drop(header.body);
                }
                Plan::Judge if input.len() < HEADER_BYTES + header.body => break,
                Plan::Judge => {
                    let whole = input.split_to(HEADER_BYTES + header.body);
                    let judged =
                        judge(shared, dialogue, namespace, who, header.tag, &whole[HEADER_BYTES..]).await?;
                    match judged {
                        Some(instead) => output.extend(instead),
                        None => output.extend_from_slice(&whole),
                    }
                }
            }
        }
        if !output.is_empty() {
            server.write_all(&output).await?;
            output.clear();
        }
    }
}

fn take_rest(rest: &mut Rest, input: &mut BytesMut, output: &mut Vec<u8>) {
    let (left, pass) = match rest {
        Rest::Pass(left) => (left, true),
        Rest::Drop(left) => (left, false),
    };
    let here = (*left).min(input.len());
    let bytes = input.split_to(here);
    *left -= here;
    if pass {
        output.extend_from_slice(&bytes);
    }
}

/// What is done with a message, by its header alone.
enum Plan {
    Stream,
    Judge,
    Refuse(Fields),
}

fn plan(shared: &Shared, header: Header) -> Result<Plan, End> {
    let limit = shared.config.max_message_bytes;
    if header.body > limit {
        return Err(End::Fatal("08P01", format!("message of {} bytes is longer than {limit}", header.body)));
    }
    match header.tag {
        b'Q' | b'P' if header.body > shared.config.max_statement_bytes + PARSE_EXTRA_BYTES => {
            let text = format!("the statement is longer than {} bytes", shared.config.max_statement_bytes);
            Ok(Plan::Refuse(Fields::new("ERROR", "54000", &text)))
        }
        b'Q' | b'P' => Ok(Plan::Judge),
        b'B' | b'E' | b'D' | b'C' | b'S' | b'H' | b'X' | b'd' | b'c' | b'f' => Ok(Plan::Stream),
        b'F' => Ok(Plan::Refuse(Fields::new(
            "ERROR",
            "0A000",
            "the function call protocol is not supported through the proxy",
        ))),
        tag => Err(End::Fatal("08P01", format!("invalid frontend message type {tag}"))),
    }
}

/// The message that stands for a denied one. A function call is answered like a query: error, then ready.
fn replacement(tag: u8, statement: &[u8], word: &str) -> Vec<u8> {
    match tag {
        b'P' => message(b'P', &[statement, word.as_bytes(), b"\0\0\0"].concat()),
        _ => message(b'Q', &[word.as_bytes(), b"\0"].concat()),
    }
}

/// Judges a Query or Parse. The message to send instead, where it is another.
async fn judge(
    shared: &Shared,
    dialogue: &Dialogue,
    namespace: &Namespace,
    who: &Who,
    tag: u8,
    body: &[u8],
) -> Result<Option<Vec<u8>>, End> {
    let malformed = || End::Fatal("08P01", "invalid message format".into());
    let (statement, rest) =
        if tag == b'P' { frame::c_string(body).ok_or_else(malformed)? } else { (&b""[..], body) };
    let (text, types) = frame::c_string(rest).ok_or_else(malformed)?;
    if tag == b'Q' && !types.is_empty() {
        return Err(malformed());
    }
    let verdict = match std::str::from_utf8(text) {
        Ok(text) => verdict(shared, namespace, text),
        Err(_) => {
            let error = read::read_bytes(text, &shared.limits).err();
            let denial = error.map(Denial::from_read_error).ok_or_else(malformed)?;
            Verdict::Deny(Box::new(denial))
        }
    };
    match verdict {
        Verdict::Permit(permit) => {
            record(shared, namespace, who, text, &permit).await?;
            let Some(rewritten) = permit.rewritten else { return Ok(None) };
            dialogue.rewritten.store(true, Ordering::Relaxed);
            let body = match tag {
                b'P' => [statement, b"\0", rewritten.as_bytes(), b"\0", types].concat(),
                _ => [rewritten.as_bytes(), b"\0"].concat(),
            };
            Ok(Some(message(tag, &body)))
        }
        Verdict::Deny(denial) => {
            record_denial(shared, namespace, who, text, &denial).await?;
            let word = dialogue.replace(answer(&denial))?;
            Ok(Some(replacement(tag, &[statement, b"\0"].concat(), &word)))
        }
    }
}

fn verdict(shared: &Shared, namespace: &Namespace, text: &str) -> Verdict {
    match read::read(text, &shared.limits) {
        Ok(reading) => shared.judge.judge(text, &reading, namespace, &shared.limits),
        Err(error) => Verdict::Deny(Box::new(Denial::from_read_error(error))),
    }
}

fn answer(denial: &Denial) -> Fields {
    Fields::new("ERROR", denial.sqlstate, &denial.message)
        .with(b'D', denial.detail.as_deref())
        .with(b'H', denial.hint.as_deref())
        .with(b'P', denial.position.map(|p| p.to_string()).as_deref())
}

fn event(shared: &Shared, namespace: &Namespace, who: &Who, text: &[u8], class: Class) -> Event {
    let mut event = Event::new(OffsetDateTime::now_utc(), class, Plane::Data, "statement", &who.login);
    event.tenant_id = Some(who.tenant_id.clone());
    event.tenant = Some(who.tenant.clone());
    event.client_addr = Some(who.address.clone());
    event.session = Some(who.session.clone());
    event.role_kind = Some(namespace.kind.clone());
    event.epoch = Some(shared.judge.epoch());
    event.shape = std::str::from_utf8(text).ok().and_then(palisade_policies::shape);
    event
}

/// A definition that was permitted is on record too.
async fn record(shared: &Shared, ns: &Namespace, who: &Who, text: &[u8], permit: &Permit) -> Result<(), End> {
    let Some(ddl) = permit.statements.iter().find(|s| s.kind == Kind::Ddl) else { return Ok(()) };
    let mut event = event(shared, ns, who, text, Class::B);
    event.verb = Some(ddl.verb.to_owned());
    shared.audit.push(event).await.map_err(|_| unrecorded())
}

/// A denial is durable before the client sees it. What only the grammar refuses is the client's own mistake.
async fn record_denial(
    shared: &Shared,
    ns: &Namespace,
    who: &Who,
    text: &[u8],
    denial: &Denial,
) -> Result<(), End> {
    if denial.reason == Reason::SyntaxError {
        return Ok(());
    }
    let mut event = event(shared, ns, who, text, Class::A);
    event.decision = Decision::Deny;
    event.result = "denied".into();
    event.verb = Some(denial.verb.to_owned());
    event.object.clone_from(&denial.object);
    event.reason = Some(denial.reason.code().to_owned());
    event.rule.clone_from(&denial.rule);
    event.sqlstate = Some(denial.sqlstate.to_owned());
    shared.audit.push(event).await.map_err(|_| unrecorded())
}

fn unrecorded() -> End {
    End::Fatal("58030", "the audit trail cannot be written".into())
}
