//! A connection to PostgreSQL, authenticated as one tenant's role, and what is known of its session there.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use lru::LruCache;
use palisade_wire::error::Fields;
use palisade_wire::frame::{self, HEADER_BYTES};
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

use crate::cancel::Target;
use crate::clock;
use crate::loops;
use crate::settings::Settings;
use crate::statements::{Prepared, ServerStatement};
use crate::stream::Stream;
use crate::upstream::Upstream;

/// Longest message of a server during login, in bytes.
const LOGIN_MESSAGE_BYTES: usize = 64 << 10;

/// Why there is no server connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// The server does not answer.
    #[error("the server does not answer: {0}")]
    Io(#[from] std::io::Error),
    /// The server took too long.
    #[error("the server did not answer in time")]
    Timeout,
    /// The server has failed just now and is not asked again at once.
    #[error("the server has failed a moment ago")]
    Down,
    /// The server speaks no TLS, and TLS is demanded.
    #[error("the server offers no TLS, and [proxy] server_tls demands it")]
    Unencrypted,
    /// The server refused; the words are its own.
    #[error("the server refused")]
    Refused(Fields),
    /// The server does not speak as expected.
    #[error("the server's answer is not understood")]
    Protocol,
}

/// What a server reports about a session (ParameterStatus), by name.
pub(crate) type Parameters = std::collections::BTreeMap<String, String>;

/// A connection that has just logged in.
pub(crate) struct LoggedIn {
    stream: Stream,
    /// What the server reported at login.
    pub(crate) parameters: Vec<(String, String)>,
    pid: i32,
    key: i32,
}

/// A connection with what is known of its session.
pub(crate) struct Server {
    pub(crate) stream: Stream,
    pub(crate) input: BytesMut,
    /// Where a cancel for it goes.
    pub(crate) target: Target,
    /// As the tenant may see them.
    pub(crate) parameters: Arc<Parameters>,
    /// What is set beyond the startup packet.
    pub(crate) settings: Arc<Settings>,
    /// Whether the role of the startup packet has to be taken again.
    pub(crate) rerole: bool,
    /// The named statements that are prepared, the least recently used last.
    pub(crate) statements: LruCache<u64, Arc<ServerStatement>>,
    /// The unnamed statement.
    pub(crate) unnamed: Option<Arc<Prepared>>,
    /// When it was last used, by the coarse clock in milliseconds.
    pub(crate) used_ms: u64,
    /// The loop that tells when the server says something.
    home: usize,
    /// Its share of the cluster's connections.
    _budget: OwnedSemaphorePermit,
}

impl Server {
    /// A fresh session. Holds at most `statements` named statements.
    pub(crate) fn new(
        server: LoggedIn,
        upstream: Arc<Upstream>,
        parameters: Arc<Parameters>,
        statements: NonZeroUsize,
        budget: OwnedSemaphorePermit,
    ) -> Self {
        let LoggedIn { stream, pid, key, .. } = server;
        let now = Instant::now();
        let encrypted = stream.encrypted();
        Self {
            stream,
            input: BytesMut::new(),
            target: Target { upstream, pid, key, opened: now, encrypted },
            parameters,
            settings: Arc::default(),
            rerole: false,
            statements: LruCache::new(statements),
            unnamed: None,
            used_ms: clock::coarse_ms(),
            home: loops::here(),
            _budget: budget,
        }
    }

    /// Whether it belongs to this thread's loop.
    pub(crate) fn is_here(&self) -> bool {
        self.home == loops::here()
    }

    /// Whether the server has said nothing and has not gone away while nobody listened. Afterwards it belongs to this
    /// thread's loop.
    pub(crate) fn quiet(&mut self) -> bool {
        if !self.input.is_empty() || !self.stream.quiet() {
            return false;
        }
        if self.is_here() {
            return true;
        }
        // What its own loop has not noticed yet, this one would take for an answer. TLS looks into what arrives.
        let silent = self.stream.encrypted() || self.stream.silent();
        if silent && self.stream.come_here().is_ok() {
            self.home = loops::here();
            return true;
        }
        false
    }

    async fn say(&mut self, message: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(message).await?;
        self.stream.flush().await
    }

    /// Sends statements that set, and takes in what is reported of them.
    pub(crate) async fn set(
        &mut self,
        statements: &str,
        shown: impl Fn(&str, &str) -> String,
    ) -> Result<(), ServerError> {
        let query = frame::message(b'Q', &[statements.as_bytes(), b"\0"].concat());
        self.say(&query).await?;
        let mut refused = None;
        loop {
            let (tag, body) = message(&mut self.stream).await?;
            match (tag, body.first()) {
                (b'S', _) => {
                    let (name, value) = parameter(&body)?;
                    let value = shown(&name, &value);
                    Arc::make_mut(&mut self.parameters).insert(name, value);
                }
                (b'E', _) => refused = Some(Fields::read(&body).ok_or(ServerError::Protocol)?),
                (b'Z', Some(b'I')) => {
                    return refused.map_or(Ok(()), |fields| Err(ServerError::Refused(fields)));
                }
                (b'N' | b'C', _) => {}
                _ => return Err(ServerError::Protocol),
            }
        }
    }

    /// `DISCARD ALL` has been completed: the session is as it was at login, but for the role.
    pub(crate) fn discarded(&mut self) {
        self.settings = Arc::default();
        self.statements.clear();
        self.unnamed = None;
        self.rerole = true;
    }

    /// The statements that bring the session to these settings, and to its owner's role where it was lost. They are
    /// taken as done.
    pub(crate) fn bring(&mut self, settings: &Arc<Settings>, owner: Option<&str>) -> Vec<String> {
        let mut statements = self.settings.difference(settings);
        if std::mem::take(&mut self.rerole)
            && let Some(owner) = owner
        {
            statements.insert(0, format!("SET ROLE \"{owner}\""));
        }
        self.settings = settings.clone();
        statements
    }
}

/// Connects and logs in with these startup parameters.
pub(crate) async fn connect(
    upstream: &Upstream,
    parameters: &[(&str, &str)],
    password: &str,
    timeout: Duration,
) -> Result<LoggedIn, ServerError> {
    let stream = upstream.dial().await?;
    match tokio::time::timeout(timeout, login(stream, parameters, password)).await {
        Ok(result) => result,
        Err(_) => Err(ServerError::Timeout),
    }
}

async fn login(
    mut stream: Stream,
    parameters: &[(&str, &str)],
    password: &str,
) -> Result<LoggedIn, ServerError> {
    let mut out = BytesMut::new();
    frontend::startup_message(parameters.iter().copied(), &mut out)?;
    stream.write_all(&out).await?;
    stream.flush().await?;
    let mut server = LoggedIn { stream, parameters: Vec::new(), pid: 0, key: 0 };
    let mut scram = None;
    loop {
        let (tag, body) = message(&mut server.stream).await?;
        match tag {
            b'R' => authenticate(&mut server.stream, &body, password, &mut scram).await?,
            b'S' => {
                server.parameters.push(parameter(&body)?);
            }
            b'K' => {
                let words: [u8; 8] = body[..].try_into().map_err(|_| ServerError::Protocol)?;
                let (pid, key) = words.split_at(4);
                server.pid = i32::from_be_bytes(pid.try_into().map_err(|_| ServerError::Protocol)?);
                server.key = i32::from_be_bytes(key.try_into().map_err(|_| ServerError::Protocol)?);
            }
            b'Z' => return Ok(server),
            b'N' => {}
            b'E' => return Err(ServerError::Refused(Fields::read(&body).ok_or(ServerError::Protocol)?)),
            _ => return Err(ServerError::Protocol),
        }
    }
}

/// The body of ParameterStatus.
fn parameter(body: &[u8]) -> Result<(String, String), ServerError> {
    let (name, rest) = frame::c_string(body).ok_or(ServerError::Protocol)?;
    let (value, _) = frame::c_string(rest).ok_or(ServerError::Protocol)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(name), text(value)))
}

async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>), ServerError> {
    let mut head = [0; HEADER_BYTES];
    stream.read_exact(&mut head).await?;
    let header = frame::header(&head).ok().flatten().ok_or(ServerError::Protocol)?;
    if header.body > LOGIN_MESSAGE_BYTES {
        return Err(ServerError::Protocol);
    }
    let mut body = vec![0; header.body];
    stream.read_exact(&mut body).await?;
    Ok((header.tag, body))
}

/// One step of the login. Only SCRAM is spoken: a server that asks for the password itself is refused.
async fn authenticate(
    stream: &mut Stream,
    body: &[u8],
    password: &str,
    scram: &mut Option<ScramSha256>,
) -> Result<(), ServerError> {
    let (code, data) = body.split_first_chunk::<4>().ok_or(ServerError::Protocol)?;
    let mut out = BytesMut::new();
    match (i32::from_be_bytes(*code), scram.as_mut()) {
        (0, _) => return Ok(()),
        (10, None) => {
            let (mechanism, binding) = mechanism(data, stream).ok_or(ServerError::Protocol)?;
            let exchange = ScramSha256::new(password.as_bytes(), binding);
            frontend::sasl_initial_response(mechanism, exchange.message(), &mut out)?;
            *scram = Some(exchange);
        }
        (11, Some(exchange)) => {
            exchange.update(data)?;
            frontend::sasl_response(exchange.message(), &mut out)?;
        }
        (12, Some(exchange)) => return Ok(exchange.finish(data)?),
        _ => return Err(ServerError::Protocol),
    }
    stream.write_all(&out).await?;
    stream.flush().await?;
    Ok(())
}

/// The mechanism to take of those that the server offers: tied to the TLS connection where that can be.
fn mechanism(offer: &[u8], stream: &Stream) -> Option<(&'static str, ChannelBinding)> {
    let offers = |name: &str| offer.split(|byte| *byte == 0).any(|offered| offered == name.as_bytes());
    match stream.peer_end_point() {
        Some(hash) if offers(SCRAM_SHA_256_PLUS) => {
            Some((SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash)))
        }
        Some(_) if offers(SCRAM_SHA_256) => Some((SCRAM_SHA_256, ChannelBinding::unrequested())),
        _ if offers(SCRAM_SHA_256) => Some((SCRAM_SHA_256, ChannelBinding::unsupported())),
        _ => None,
    }
}
