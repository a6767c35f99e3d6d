//! A raw client: it logs in, sends bytes, and keeps every byte that comes back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::message::frontend;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Most bytes of an answer that are kept; what comes behind is read and looked at no more.
const MOST_BYTES: usize = 8 << 20;

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
        Ok(Self { stream, received: Vec::new(), at: 0 })
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
            match self.frame(until) {
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
        let mut buffer = [0u8; 64 << 10];
        loop {
            if let Some(message) = message(&self.received[self.at..])? {
                self.at += 5 + message.1.len();
                return Ok(Some((message.0, message.1.to_vec())));
            }
            if self.received.len() > MOST_BYTES {
                bail!("the answer is too long");
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
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
    let mut out = BytesMut::new();
    let text = sql.split('\0').next().unwrap_or_default();
    let none = std::iter::empty::<Option<i32>>();
    let all = frontend::parse("", text, std::iter::empty(), &mut out).is_ok()
        && frontend::bind(
            "",
            "",
            std::iter::empty(),
            none,
            |_, _| Ok(postgres_protocol::IsNull::Yes),
            std::iter::empty(),
            &mut out,
        )
        .is_ok()
        && frontend::describe(b'P', "", &mut out).is_ok()
        && frontend::execute("", 0, &mut out).is_ok();
    if !all {
        return simple("SELECT 1");
    }
    frontend::sync(&mut out);
    out.to_vec()
}
