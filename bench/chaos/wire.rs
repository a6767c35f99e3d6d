//! A raw connection: SCRAM, frames, and what is sent cut into segments at will. Every frame goes past the oracle.

use crate::oracle::Oracle;
use anyhow::Context;
use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::message::frontend;
use rand::Rng;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for an answer; a longer one is a finding.
pub(crate) const ANSWER: Duration = Duration::from_secs(45);
/// Most bytes that are sent one by one; what is longer is cut at random.
const BYTE_BY_BYTE: usize = 400;

/// Where a client connects, and as whom.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
}

/// Why a client could not go on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The connection is over, or the server or a limit refused: by SQLSTATE or `eof`.
    Lost(String),
    /// What must not be.
    Wrong(String),
}

impl From<std::io::Error> for Trouble {
    fn from(_: std::io::Error) -> Self {
        Self::Lost("eof".into())
    }
}

/// A message of the server.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) body: Bytes,
}

impl Frame {
    /// A field of an error or notice.
    pub(crate) fn field(&self, field: u8) -> String {
        self.body
            .split(|b| *b == 0)
            .find(|part| part.first() == Some(&field))
            .map_or_else(String::new, |part| String::from_utf8_lossy(&part[1..]).into_owned())
    }

    /// The columns of a DataRow as texts.
    pub(crate) fn columns(&self) -> Vec<String> {
        let mut body = &self.body[..];
        let number = if body.len() >= 2 { body.get_u16() } else { 0 };
        let mut found = Vec::new();
        for _ in 0..number {
            let length = if body.len() >= 4 {
                usize::try_from(body.get_i32()).unwrap_or(0).min(body.len())
            } else {
                0
            };
            found.push(String::from_utf8_lossy(&body[..length]).into_owned());
            body.advance(length);
        }
        found
    }
}

/// One client's connection.
pub(crate) struct Wire {
    stream: TcpStream,
    input: BytesMut,
    pub(crate) oracle: Oracle,
    /// Process id and secret of the cancel key.
    pub(crate) key: (i32, i32),
    /// Whether this connection has asked for a cancel: then 57014 may come.
    pub(crate) cancelled: bool,
    serial: u64,
}

impl Wire {
    /// Connects and logs in.
    pub(crate) async fn open(address: &Address, oracle: Oracle) -> Result<Self, Trouble> {
        let stream = TcpStream::connect(&address.host).await?;
        stream.set_nodelay(true)?;
        let mut wire =
            Self { stream, input: BytesMut::new(), oracle, key: (0, 0), cancelled: false, serial: 0 };
        timeout(ANSWER, wire.log_in(address))
            .await
            .map_err(|_| Trouble::Wrong("no answer to a login".into()))??;
        Ok(wire)
    }

    async fn log_in(&mut self, address: &Address) -> Result<(), Trouble> {
        let mut out = BytesMut::new();
        frontend::startup_message(
            [("user", address.user.as_str()), ("database", &address.database)],
            &mut out,
        )?;
        self.stream.write_all(&out).await?;
        self.expect(b'R').await?;
        let mut scram = ScramSha256::new(address.password.as_bytes(), ChannelBinding::unsupported());
        out.clear();
        frontend::sasl_initial_response("SCRAM-SHA-256", scram.message(), &mut out)?;
        self.stream.write_all(&out).await?;
        let server_first = self.expect(b'R').await?;
        scram.update(server_first.body.get(4..).unwrap_or_default())?;
        out.clear();
        frontend::sasl_response(scram.message(), &mut out)?;
        self.stream.write_all(&out).await?;
        loop {
            let frame = self.frame().await?;
            match frame.tag {
                b'K' if frame.body.len() >= 8 => {
                    let mut body = frame.body;
                    self.key = (body.get_i32(), body.get_i32());
                }
                b'E' => return Err(Trouble::Lost(frame.field(b'C'))),
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }

    async fn expect(&mut self, tag: u8) -> Result<Frame, Trouble> {
        let frame = self.frame().await?;
        match frame.tag {
            b'E' => Err(Trouble::Lost(frame.field(b'C'))),
            found if found == tag => Ok(frame),
            found => Err(Trouble::Wrong(format!(
                "{} where {} is due at login",
                char::from(found),
                char::from(tag)
            ))),
        }
    }

    /// A token that no other statement carries.
    pub(crate) fn token(&mut self) -> String {
        self.serial += 1;
        format!("{}{}#", self.oracle.connection, self.serial)
    }

    /// The next message of the server, looked at by the oracle.
    pub(crate) async fn frame(&mut self) -> Result<Frame, Trouble> {
        loop {
            if let Some(header) = self.input.get(..5) {
                let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
                if self.input.len() > length {
                    let tag = header[0];
                    self.input.advance(5);
                    let body = self.input.split_to(length - 4).freeze();
                    return match self.oracle.foreign(&body) {
                        Some(found) => Err(Trouble::Wrong(format!("LEAK in a {}: {found}", char::from(tag)))),
                        None => Ok(Frame { tag, body }),
                    };
                }
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(Trouble::Lost("eof".into()));
            }
        }
    }

    /// Sends bytes in one piece, in some, or one by one.
    pub(crate) async fn send(&mut self, bytes: &[u8], rng: &mut StdRng) -> Result<(), Trouble> {
        match rng.random_range(0..4) {
            0 if bytes.len() <= BYTE_BY_BYTE => {
                for byte in bytes {
                    self.stream.write_all(std::slice::from_ref(byte)).await?;
                    tokio::task::yield_now().await;
                }
            }
            1 => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let (now, later) = rest.split_at(rng.random_range(1..=rest.len()));
                    self.stream.write_all(now).await?;
                    tokio::time::sleep(Duration::from_micros(rng.random_range(0..2000))).await;
                    rest = later;
                }
            }
            _ => self.stream.write_all(bytes).await?,
        }
        Ok(())
    }

    /// Everything up to the given number of ReadyForQuery.
    pub(crate) async fn until_ready(&mut self, readies: usize) -> Result<Vec<Frame>, Trouble> {
        let mut frames = Vec::new();
        let mut left = readies;
        while left > 0 {
            let frame = timeout(ANSWER, self.frame()).await.map_err(|_| {
                Trouble::Wrong(format!("no answer for {} s, after {}", ANSWER.as_secs(), tags(&frames)))
            })??;
            left -= usize::from(frame.tag == b'Z');
            if frame.tag == b'E' && matches!(frame.field(b'V').as_str(), "FATAL" | "PANIC") {
                return Err(Trouble::Lost(frame.field(b'C')));
            }
            frames.push(frame);
        }
        Ok(frames)
    }

    /// Sends bytes and reads the answers.
    pub(crate) async fn exchange(
        &mut self,
        bytes: &[u8],
        readies: usize,
        rng: &mut StdRng,
    ) -> Result<Vec<Frame>, Trouble> {
        self.send(bytes, rng).await?;
        self.until_ready(readies).await
    }
}

/// A cancel request, as a client sends it: on a connection of its own.
pub(crate) async fn cancel(host: &str, key: (i32, i32)) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(host).await.context("a cancel cannot connect")?;
    let mut out = BytesMut::new();
    frontend::cancel_request(key.0, key.1, &mut out);
    stream.write_all(&out).await?;
    let mut end = [0; 1];
    let _ = timeout(ANSWER, stream.read(&mut end)).await?;
    Ok(())
}

/// The types of messages, as text.
pub(crate) fn tags(frames: &[Frame]) -> String {
    frames.iter().filter(|f| !matches!(f.tag, b'S' | b'A')).map(|f| char::from(f.tag)).collect()
}
