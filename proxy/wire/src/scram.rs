//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) against a stored verifier, by pgwire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth, ScramServerAuthWaitingForClientFinal};

use crate::frame::c_string;

/// The one mechanism that is offered.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// A login attempt that does not hold. Nothing says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("authentication failed")]
pub struct Failed;

/// Waits for the client's last message.
pub struct Exchange(ScramServerAuthWaitingForClientFinal);

/// Answers the client's first message (the body of SASLInitialResponse) against a verifier as PostgreSQL writes it.
///
/// # Errors
/// [`Failed`]: another mechanism, or not a SCRAM message.
pub fn begin(body: &[u8], verifier: &str) -> Result<(Vec<u8>, Exchange), Failed> {
    let (mechanism, rest) = c_string(body).ok_or(Failed)?;
    let (length, message) = rest.split_first_chunk::<4>().ok_or(Failed)?;
    if mechanism != MECHANISM.as_bytes() || usize::try_from(i32::from_be_bytes(*length)) != Ok(message.len())
    {
        return Err(Failed);
    }
    let secret = secret(verifier).ok_or(Failed)?;
    let answer =
        ScramServerAuth::new().on_client_first_message_with_secret(message, secret).map_err(|_| Failed)?;
    Ok((answer.0.into_bytes(), Exchange(answer.1)))
}

impl Exchange {
    /// Checks the client's proof; the answer proves the server to the client.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn finish(self, body: &[u8]) -> Result<Vec<u8>, Failed> {
        self.0.on_client_final_message(body).map(String::into_bytes).map_err(|_| Failed)
    }
}

/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
fn secret(verifier: &str) -> Option<ScramSecret> {
    let rest = verifier.strip_prefix("SCRAM-SHA-256$")?;
    let (parameters, keys) = rest.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    Some(ScramSecret::Verifier {
        salt: STANDARD.decode(salt).ok()?,
        iterations: iterations.parse().ok()?,
        stored_key: STANDARD.decode(stored).ok()?,
        server_key: STANDARD.decode(server).ok()?,
    })
}

/// A verifier of a secret that nobody has, the same for the same name: an unknown login looks like a known one.
#[must_use]
pub fn mock_verifier(key: &[u8], name: &str) -> String {
    use hmac::Mac;
    let derive = |what: &str| {
        let mut mac =
            hmac::Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(what.as_bytes());
        mac.update(name.as_bytes());
        mac.finalize().into_bytes()
    };
    let (salt, stored, server) = (derive("salt\0"), derive("stored\0"), derive("server\0"));
    format!(
        "SCRAM-SHA-256$4096:{}${}:{}",
        STANDARD.encode(&salt[..16]),
        STANDARD.encode(stored),
        STANDARD.encode(server)
    )
}
