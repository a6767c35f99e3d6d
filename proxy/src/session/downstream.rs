//! Server to client: errors and notices are renamed; a replaced text's error becomes the denial.

use bytes::BytesMut;
use palisade_wire::error::Fields;
use palisade_wire::frame::{self, HEADER_BYTES, message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::rename::Names;
use crate::session::{Dialogue, End, READ_BYTES, rewritten};

/// Longest message of the server that is held whole (errors, notices, notifications), in bytes.
const HELD_BYTES: usize = 4 << 20;

/// Relays until the server is gone.
pub(super) async fn relay(
    dialogue: &Dialogue,
    names: &Names,
    login: &str,
    mut server: OwnedReadHalf,
    client: &mut OwnedWriteHalf,
) -> Result<(), End> {
    let mut input = BytesMut::new();
    let mut output = Vec::new();
    let mut pass = 0;
    loop {
        input.reserve(READ_BYTES);
        if server.read_buf(&mut input).await? == 0 {
            // The server has said why, or it is gone without a word.
            return Err(End::Gone);
        }
        loop {
            let here = pass.min(input.len());
            output.extend_from_slice(&input.split_to(here));
            pass -= here;
            if input.is_empty() {
                break;
            }
            let Some(header) = frame::header(&input).map_err(|_| broken())? else { break };
            if !matches!(header.tag, b'E' | b'N' | b'S' | b'A') {
                pass = HEADER_BYTES + header.body;
                continue;
            }
            if header.body > HELD_BYTES {
                return Err(broken());
            }
            if input.len() < HEADER_BYTES + header.body {
                break;
            }
            let whole = input.split_to(HEADER_BYTES + header.body);
            output.extend(changed(dialogue, names, login, header.tag, &whole[HEADER_BYTES..])?);
        }
        if !output.is_empty() {
            client.write_all(&output).await?;
            output.clear();
        }
    }
}

fn broken() -> End {
    End::Fatal("08P01", "the server's answer is not understood".into())
}

/// A message as the client may see it.
fn changed(dialogue: &Dialogue, names: &Names, login: &str, tag: u8, body: &[u8]) -> Result<Vec<u8>, End> {
    match tag {
        b'S' => parameter(names, login, body),
        b'A' => notification(names, body),
        _ => {
            let mut fields = Fields::read(body).ok_or_else(broken)?;
            if let Some(answer) = dialogue.answer(&fields) {
                return Ok(answer.message(b'E'));
            }
            names.fields(&mut fields, rewritten(dialogue));
            Ok(fields.message(tag))
        }
    }
}

/// A setting that changes how text is read must not move: the session ends where code moved it unseen.
fn parameter(names: &Names, login: &str, body: &[u8]) -> Result<Vec<u8>, End> {
    let (name, rest) = frame::c_string(body).ok_or_else(broken)?;
    let (value, _) = frame::c_string(rest).ok_or_else(broken)?;
    let moved = match name {
        b"client_encoding" => value != b"UTF8",
        b"standard_conforming_strings" => value != b"on",
        _ => false,
    };
    if moved {
        return Err(End::Fatal("42501", "a setting that changes how statements are read was changed".into()));
    }
    let value = match name {
        b"session_authorization" => login.to_owned(),
        _ => names.logical(&String::from_utf8_lossy(value)),
    };
    Ok(message(b'S', &[name, b"\0", value.as_bytes(), b"\0"].concat()))
}

/// A notification under the channel's own name.
fn notification(names: &Names, body: &[u8]) -> Result<Vec<u8>, End> {
    let (pid, rest) = body.split_first_chunk::<4>().ok_or_else(broken)?;
    let (channel, payload) = frame::c_string(rest).ok_or_else(broken)?;
    let channel = names.logical(&String::from_utf8_lossy(channel));
    Ok(message(b'A', &[&pid[..], channel.as_bytes(), b"\0", payload].concat()))
}
