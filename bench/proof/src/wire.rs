//! A raw client: it logs in, sends bytes, and keeps every byte that comes back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::message::frontend;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Most bytes of an answer that are kept; what comes behind is read and looked at no more.
const MOST_BYTES: usize = 8 << 20;
/// So much is read at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Where to connect, and as whom.
#[derive(Debug, Clone)]
pub struct Address {
    /// Host and port.
    pub host: String,
    /// The login.
    pub user: String,
    /// Its secret.
    pub password: String,
    /// The database.
    pub database: String,
}

/// Whether a login is let in.
///
/// # Errors
/// It is not, or nobody is there.
pub fn log_in(address: &Address) -> Result<()> {
    Wire::open(address).map(|_| ())
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The server waits for the next statement.
    Ready,
    /// The connection is over.
    Closed,
    /// Nothing came for too long.
    Silent,
}

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    /// What has come since the last statement was sent.
    pub(crate) received: Vec<u8>,
    at: usize,
    buffer: Vec<u8>,
    /// What it was told for cancels.
    pub(crate) key: Option<(i32, i32)>,
}

impl Wire {
    /// Connects and logs in.
    pub(crate) fn open(address: &Address) -> Result<Self> {
        let mut wire = Self::connect(&address.host)?;
        let mut out = BytesMut::new();
        let parameters = [("user", address.user.as_str()), ("database", &address.database)];
        frontend::startup_message(parameters, &mut out)?;
        wire.send(&out)?;
        wire.log_in(address)?;
        Ok(wire)
    }

    /// A connection that has said nothing yet.
    pub(crate) fn connect(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host).with_context(|| format!("connecting to {host}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.set_write_timeout(Some(ANSWER))?;
        Ok(Self { stream, received: Vec::new(), at: 0, buffer: vec![0; READ_BYTES], key: None })
    }

    fn log_in(&mut self, address: &Address) -> Result<()> {
        let mut scram = ScramSha256::new(address.password.as_bytes(), ChannelBinding::unsupported());
        let until = Instant::now() + ANSWER;
        loop {
            let (tag, body) = self.frame(until)?.context("the server closed the connection at the login")?;
            let mut out = BytesMut::new();
            match (tag, body.get(..4)) {
                (b'R', Some([0, 0, 0, 10])) => {
                    frontend::sasl_initial_response("SCRAM-SHA-256", scram.message(), &mut out)?;
                }
                (b'R', Some([0, 0, 0, 11])) => {
                    scram.update(&body[4..])?;
                    frontend::sasl_response(scram.message(), &mut out)?;
                }
                (b'E', _) => {
                    bail!("the login was refused: {}", String::from_utf8_lossy(&body).replace('\0', " "))
                }
                (b'K', _) => {
                    let number = |at: usize| body.get(at..at + 4)?.try_into().ok().map(i32::from_be_bytes);
                    self.key = number(0).zip(number(4));
                }
                (b'Z', _) => return Ok(()),
                _ => {}
            }
            if !out.is_empty() {
                self.send(&out)?;
            }
        }
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Sends statements and reads up to the last answer.
    pub(crate) fn ask(&mut self, bytes: &[u8], readies: usize) -> Ended {
        self.received.clear();
        self.at = 0;
        if self.send(bytes).is_err() {
            return Ended::Closed;
        }
        self.drain(readies, ANSWER)
    }

    /// Reads up to so many ReadyForQuery, or for so long.
    pub(crate) fn drain(&mut self, readies: usize, patience: Duration) -> Ended {
        let until = Instant::now() + patience;
        let mut left = readies;
        loop {
            match self.next(until) {
                Ok(Some((b'Z', _))) => {
                    left = left.saturating_sub(1);
                    if left == 0 {
                        return Ended::Ready;
                    }
                }
                // Data is wanted for a COPY: there is none.
                Ok(Some((b'G', _))) => {
                    let mut out = BytesMut::new();
                    if frontend::copy_fail("none", &mut out).is_err() || self.send(&out).is_err() {
                        return Ended::Closed;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ended::Closed,
                Err(_) => return Ended::Silent,
            }
        }
    }

    /// The next message; nothing where the connection is over.
    pub(crate) fn frame(&mut self, until: Instant) -> Result<Option<(u8, Vec<u8>)>> {
        Ok(self.next(until)?.map(|(tag, body)| (tag, self.received[body].to_vec())))
    }

    /// The next message: its type, and where its body stands in what was received.
    fn next(&mut self, until: Instant) -> Result<Option<(u8, Range<usize>)>> {
        loop {
            if let Some((tag, body)) = message(&self.received[self.at..])? {
                let body = self.at + 5..self.at + 5 + body.len();
                self.at = body.end;
                return Ok(Some((tag, body)));
            }
            if self.received.len() > MOST_BYTES {
                bail!("the answer is too long");
            }
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return Ok(None),
                Ok(length) => self.received.extend_from_slice(&self.buffer[..length]),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    if Instant::now() >= until {
                        bail!("no answer");
                    }
                }
                Err(_) => return Ok(None),
            }
        }
    }

    /// The types of the messages of an answer but reports of settings, with the code and words of errors and notices, a name left out.
    pub(crate) fn outcome(&self, name: &str) -> Vec<(String, String)> {
        messages(&self.received)
            // These come whenever a server connection is another one.
            .filter(|(tag, _)| !matches!(tag, b'S' | b'A'))
            .map(|(tag, body)| {
                let field = |key: u8| {
                    let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&key));
                    String::from_utf8_lossy(found.and_then(|field| field.get(1..)).unwrap_or_default())
                        .to_ascii_lowercase()
                };
                let tag = char::from(tag);
                match tag {
                    'E' | 'N' => (format!("{tag} {}", field(b'C')), field(b'M').replace(name, "…")),
                    _ => (tag.to_string(), String::new()),
                }
            })
            .collect()
    }

    /// The columns of the first row of an answer, and its first error.
    pub(crate) fn first_row(&self) -> (Option<Vec<String>>, Option<String>) {
        let (mut row, mut error) = (None, None);
        for (tag, body) in messages(&self.received) {
            match tag {
                b'D' if row.is_none() => row = Some(columns(body)),
                b'E' if error.is_none() => error = Some(String::from_utf8_lossy(body).replace('\0', " ")),
                _ => {}
            }
        }
        (row, error)
    }
}

/// The first message of what was received, where it is whole: its type and its body.
fn message(received: &[u8]) -> Result<Option<(u8, &[u8])>> {
    let Some(([tag, length @ ..], rest)) = received.split_first_chunk::<5>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    match length.checked_sub(4) {
        Some(body) => Ok(rest.get(..body).map(|body| (*tag, body))),
        None => bail!("a message of {length} bytes"),
    }
}

/// The whole messages of what was received.
pub(crate) fn messages(received: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = received;
    std::iter::from_fn(move || {
        let (tag, body) = message(rest).ok()??;
        rest = &rest[5 + body.len()..];
        Some((tag, body))
    })
}

fn columns(body: &[u8]) -> Vec<String> {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut found = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        let Some((value, after)) = after.split_at_checked(length) else { break };
        found.push(String::from_utf8_lossy(value).into_owned());
        rest = after;
    }
    found
}

/// A statement as one Query message.
pub(crate) fn simple(sql: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    // A text with a NUL is cut there: the protocol cannot carry it.
    let _ = frontend::query(sql.split('\0').next().unwrap_or_default(), &mut out);
    out.to_vec()
}

/// A statement by Parse, Bind, Describe, Execute and Sync.
pub(crate) fn extended(sql: &str) -> Vec<u8> {
    extended_with(sql, &[], &[])
}

/// The same with types by number and with parameters as texts.
pub(crate) fn extended_with(sql: &str, types: &[u32], parameters: &[String]) -> Vec<u8> {
    let mut out = BytesMut::new();
    let text = sql.split('\0').next().unwrap_or_default();
    let put = |value: &String, out: &mut BytesMut| {
        out.extend_from_slice(value.as_bytes());
        Ok(IsNull::No)
    };
    let all = frontend::parse("", text, types.iter().copied(), &mut out).is_ok()
        && frontend::bind("", "", [], parameters, put, [], &mut out).is_ok()
        && frontend::describe(b'P', "", &mut out).is_ok()
        && frontend::execute("", 0, &mut out).is_ok();
    if !all {
        return simple("SELECT 1");
    }
    frontend::sync(&mut out);
    out.to_vec()
}

/// A statement that is prepared under a name.
pub(crate) fn prepare(name: &str, sql: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    if frontend::parse(name, sql, std::iter::empty(), &mut out).is_err() {
        return simple("SELECT 1");
    }
    frontend::sync(&mut out);
    out.to_vec()
}

/// What is prepared under a name, run.
pub(crate) fn run_prepared(name: &str) -> Vec<u8> {
    let mut out = BytesMut::new();
    let none = std::iter::empty::<&String>();
    let put = |_: &String, _: &mut BytesMut| Ok(IsNull::Yes);
    let all = frontend::describe(b'S', name, &mut out).is_ok()
        && frontend::bind("", name, [], none, put, [], &mut out).is_ok()
        && frontend::execute("", 0, &mut out).is_ok();
    if !all {
        return simple("SELECT 1");
    }
    frontend::sync(&mut out);
    out.to_vec()
}
