//! The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677) against a stored verifier, by pgwire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth, ScramServerAuthWaitingForClientFinal};
use pgwire::error::PgWireError;
use sha2::Digest;
use subtle::ConstantTimeEq;

use crate::frame::c_string;

/// The mechanism that everybody speaks.
const PLAIN: &str = "SCRAM-SHA-256";
/// The mechanism that is tied to the TLS connection (RFC 5929, `tls-server-end-point`).
const BOUND: &str = "SCRAM-SHA-256-PLUS";

/// A login attempt that does not hold. Nothing says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("authentication failed")]
pub struct Failed;

/// The server's side of the exchange on one kind of connection.
#[derive(Default)]
pub struct Authenticator {
    auth: ScramServerAuth,
}

/// Waits for the client's last message.
pub struct Exchange {
    waiting: ScramServerAuthWaitingForClientFinal,
    /// The client's first message without its header, and our answer: what proofs are about.
    said: String,
}

/// Whose secret the client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The verifier's.
    Present,
    /// The one before it.
    Previous,
}

impl Authenticator {
    /// For a TLS connection with this certificate (PEM, the server's own first). A certificate whose signature has no
    /// single hash, such as Ed25519, cannot be tied: then only the plain mechanism is offered, as PostgreSQL does.
    #[must_use]
    pub fn bound(certificates: &[u8]) -> Self {
        let mut auth = ScramServerAuth::new();
        // An error is a certificate that cannot be tied.
        let _ = auth.configure_certificate(certificates);
        Self { auth }
    }

    /// The names of the mechanisms as AuthenticationSASL lists them, the best first.
    #[must_use]
    pub fn offer(&self) -> &'static [u8] {
        if self.auth.supports_channel_binding() {
            b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
        } else {
            b"SCRAM-SHA-256\0\0"
        }
    }

    /// Answers the client's first message (the body of SASLInitialResponse) against a verifier as PostgreSQL writes it.
    ///
    /// # Errors
    /// [`Failed`]: a mechanism that is not offered, a client that believes no binding was offered although it was, or
    /// not a SCRAM message.
    pub fn begin(&self, body: &[u8], verifier: &str) -> Result<(Vec<u8>, Exchange), Failed> {
        let (mechanism, rest) = c_string(body).ok_or(Failed)?;
        let (length, message) = rest.split_first_chunk::<4>().ok_or(Failed)?;
        if usize::try_from(i32::from_be_bytes(*length)) != Ok(message.len()) {
            return Err(Failed);
        }
        let binds = message.starts_with(b"p=");
        let known = match mechanism {
            name if name == PLAIN.as_bytes() => !binds,
            name if name == BOUND.as_bytes() => binds,
            _ => false,
        };
        let secret = secret(verifier).filter(|_| known).ok_or(Failed)?;
        let answer = self.auth.on_client_first_message_with_secret(message, secret).map_err(|_| Failed)?;
        let said =
            std::str::from_utf8(message).ok().and_then(|text| text.splitn(3, ',').nth(2)).ok_or(Failed)?;
        let said = format!("{said},{}", answer.0);
        Ok((answer.0.into_bytes(), Exchange { waiting: answer.1, said }))
    }
}

impl Exchange {
    /// Checks the client's proof against the verifier, then against the one before it, which has the same salt; the answer
    /// proves the server to the client.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn finish(self, body: &[u8], previous: Option<&str>) -> Result<(Vec<u8>, Whose), Failed> {
        match self.waiting.on_client_final_message(body) {
            Ok(answer) => Ok((answer.into_bytes(), Whose::Present)),
            // Binding and nonce are right, the proof is not: it may be of the secret before.
            Err(PgWireError::InvalidPassword(_)) => {
                let answer = previous.and_then(|verifier| self.older(body, verifier)).ok_or(Failed)?;
                Ok((answer, Whose::Previous))
            }
            Err(_) => Err(Failed),
        }
    }

    /// The same check as pgwire's, against another verifier.
    fn older(&self, body: &[u8], verifier: &str) -> Option<Vec<u8>> {
        let Some(ScramSecret::Verifier { stored_key, server_key, .. }) = secret(verifier) else {
            return None;
        };
        let (message, proof) = std::str::from_utf8(body).ok()?.rsplit_once(",p=")?;
        let about = format!("{},{message}", self.said);
        let proof = STANDARD.decode(proof).ok().filter(|proof| proof.len() == stored_key.len())?;
        let signature = sign(&stored_key, &about);
        let key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let same: bool = sha2::Sha256::digest(&key).ct_eq(&stored_key).into();
        same.then(|| format!("v={}", STANDARD.encode(sign(&server_key, &about))).into_bytes())
    }
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A SASLInitialResponse.
    fn first(mechanism: &str, message: &str) -> Vec<u8> {
        let length = i32::try_from(message.len()).unwrap().to_be_bytes();
        [mechanism.as_bytes(), b"\0", &length, message.as_bytes()].concat()
    }

    #[test]
    fn the_first_message_follows_the_table() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap().pem();
        let bound = Authenticator::bound(certificate.as_bytes());
        let plain = Authenticator::default();
        let verifier = mock_verifier(b"key", "name");
        let rest = "n=,r=fyko+d2lbbFgONRv9qkxdawL";
        for (mechanism, flag, with_plain, with_bound) in [
            (PLAIN, "n,,", true, true),
            // The client could bind and believes that the server cannot.
            (PLAIN, "y,,", true, false),
            (PLAIN, "p=tls-server-end-point,,", false, false),
            (BOUND, "p=tls-server-end-point,,", false, true),
            (BOUND, "p=tls-unique,,", false, false),
            (BOUND, "n,,", false, false),
            ("SCRAM-SHA-1", "n,,", false, false),
        ] {
            let body = first(mechanism, &format!("{flag}{rest}"));
            assert_eq!(plain.begin(&body, &verifier).is_ok(), with_plain, "{mechanism} {flag}");
            assert_eq!(bound.begin(&body, &verifier).is_ok(), with_bound, "{mechanism} {flag} bound");
        }
        assert!(plain.begin(&first(PLAIN, "n,,r=")[..20], &verifier).is_err());
        assert_eq!((plain.offer().len(), bound.offer().len()), (15, 34));
        let ed = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let ed = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&ed).unwrap().pem();
        assert_eq!(Authenticator::bound(ed.as_bytes()).offer(), plain.offer());
    }
}
