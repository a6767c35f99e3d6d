//! A connection to PostgreSQL, authenticated as one tenant's role.

use std::time::Duration;

use bytes::BytesMut;
use palisade_wire::error::Fields;
use palisade_wire::frame::{self, HEADER_BYTES};
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
    /// The server refused; the words are its own.
    #[error("the server refused")]
    Refused(Fields),
    /// The server does not speak as expected.
    #[error("the server's answer is not understood")]
    Protocol,
}

/// A logged-in connection.
pub(crate) struct Server {
    pub(crate) stream: TcpStream,
    /// What the server reported at login.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) pid: i32,
    pub(crate) key: i32,
}

/// Connects and logs in with these startup parameters.
pub(crate) async fn connect(
    address: &str,
    parameters: &[(&str, &str)],
    password: &str,
    timeout: Duration,
) -> Result<Server, ServerError> {
    match tokio::time::timeout(timeout, login(address, parameters, password)).await {
        Ok(result) => result,
        Err(_) => Err(ServerError::Timeout),
    }
}

async fn login(address: &str, parameters: &[(&str, &str)], password: &str) -> Result<Server, ServerError> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut out = BytesMut::new();
    frontend::startup_message(parameters.iter().copied(), &mut out)?;
    stream.write_all(&out).await?;
    let mut server = Server { stream, parameters: Vec::new(), pid: 0, key: 0 };
    let mut scram = None;
    loop {
        let (tag, body) = message(&mut server.stream).await?;
        match tag {
            b'R' => authenticate(&mut server.stream, &body, password, &mut scram).await?,
            b'S' => {
                let (name, rest) = frame::c_string(&body).ok_or(ServerError::Protocol)?;
                let (value, _) = frame::c_string(rest).ok_or(ServerError::Protocol)?;
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                server.parameters.push((text(name), text(value)));
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

async fn message(stream: &mut TcpStream) -> Result<(u8, Vec<u8>), ServerError> {
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
    stream: &mut TcpStream,
    body: &[u8],
    password: &str,
    scram: &mut Option<ScramSha256>,
) -> Result<(), ServerError> {
    let (code, data) = body.split_first_chunk::<4>().ok_or(ServerError::Protocol)?;
    let mut out = BytesMut::new();
    match (i32::from_be_bytes(*code), scram.as_mut()) {
        (0, _) => return Ok(()),
        (10, None) => {
            let exchange = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
            frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), &mut out)?;
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
    Ok(())
}
