//! Who a client is: SCRAM against the login's verifier, or a JSON Web Token in the password's place.
//!
//! Whatever is wrong (the tenant's name, the login's, the secret), the same messages are exchanged, the same is
//! computed, and the same is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_catalog::snapshot::{Login, TenantEntry};
use palisade_tokens::{Expected, Sources, TOKEN_BYTES, TokenError, Tokens};
use palisade_wire::frame::{self, HEADER_BYTES, message};
use palisade_wire::scram::{self, Authenticator, Whose};
use palisade_wire::startup::Request;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Shared;
use crate::config::JwtConfig;
use crate::stream::Stream;

/// Longest message of a client during a login by SCRAM, in bytes.
const SCRAM_MESSAGE_BYTES: usize = 4_096;
/// AuthenticationCleartextPassword, AuthenticationSASL, …Continue, …Final.
const CLEARTEXT: i32 = 3;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

/// A login that has been proven, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The secret is right.
    Secret,
    /// The secret is the one before the last rotation, and still good.
    OldSecret,
    /// The token is right; this is its subject.
    Token(String),
    /// Neither. The word says why, for the audit trail only.
    Nothing(&'static str),
    /// A token was announced and this proxy, or this connection, takes none.
    NoToken(&'static str),
}

/// Tokens in a password's place.
pub(crate) struct Bearer {
    tokens: Tokens,
    config: JwtConfig,
}

impl Bearer {
    /// Reads the keys; `None` where no issuer is configured.
    pub(crate) fn new(config: &JwtConfig) -> Result<Option<Self>, String> {
        if !config.enabled() {
            return Ok(None);
        }
        let sources = Sources {
            algorithm: config.algorithm.clone(),
            public_key_file: config.public_key_file.clone(),
            jwks_file: config.jwks_file.clone(),
            jwks_url: config.jwks_url.clone(),
            development_secret_file: None,
        };
        let expected = Expected {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            leeway_seconds: config.leeway_seconds,
        };
        Ok(Some(Self { tokens: Tokens::new(&sources, &expected)?, config: config.clone() }))
    }

    /// Reads the key set now and every so often, for ever.
    pub(crate) async fn follow(&self) {
        let mut tick = tokio::time::interval(Duration::from_secs(self.config.jwks_refresh_seconds));
        loop {
            tick.tick().await;
            self.tokens.refresh().await;
        }
    }

    async fn check(&self, token: &str, known: Option<(&TenantEntry, &Login)>) -> Proof {
        let claims: Map<String, Value> = match self.tokens.verify(token).await {
            Ok(claims) => claims,
            Err(error) => return Proof::Nothing(error.code()),
        };
        let Some((tenant, login)) = known else { return Proof::Nothing("unknown_login") };
        let names = [tenant.slug.as_str(), tenant.id.as_str()];
        if !names.iter().any(|name| says(&claims, &self.config.tenant_claim, name)) {
            return Proof::Nothing("wrong_tenant");
        }
        if !says(&claims, &self.config.login_claim, login.name.as_str()) {
            return Proof::Nothing("wrong_login");
        }
        match claims.get("sub").and_then(Value::as_str) {
            Some(subject) => Proof::Token(subject.chars().filter(|c| !c.is_control()).take(200).collect()),
            None => Proof::Nothing(TokenError::Malformed.code()),
        }
    }
}

/// Whether a claim is this text, or a list that has it.
fn says(claims: &Map<String, Value>, claim: &str, text: &str) -> bool {
    match claims.get(claim) {
        Some(Value::String(value)) => value == text,
        Some(Value::Array(values)) => values.iter().any(|value| value.as_str() == Some(text)),
        _ => false,
    }
}

/// Asks the client for its proof. `None`: it is gone.
pub(crate) async fn prove(
    shared: &Shared,
    stream: &mut Stream,
    scram: &Authenticator,
    request: &Request,
    address: SocketAddr,
    known: Option<(&TenantEntry, &Login)>,
) -> Option<Proof> {
    if !request.token {
        let login = known.map(|(_, login)| login);
        return Some(match secret(shared, stream, scram, request, login).await? {
            Some(Whose::Present) => Proof::Secret,
            Some(Whose::Previous) => Proof::OldSecret,
            None => Proof::Nothing("wrong_secret"),
        });
    }
    let Some(bearer) = &shared.bearer else {
        return Some(Proof::NoToken("this proxy accepts no tokens; set [proxy.jwt] issuer"));
    };
    if !stream.encrypted() && !address.ip().is_loopback() {
        return Some(Proof::NoToken("a token may be sent over an encrypted connection only"));
    }
    stream.write_all(&message(b'R', &CLEARTEXT.to_be_bytes())).await.ok()?;
    stream.flush().await.ok()?;
    let body = password(stream, TOKEN_BYTES + 1).await?;
    let token = body.strip_suffix(b"\0").and_then(|token| std::str::from_utf8(token).ok());
    match token {
        Some(token) => Some(bearer.check(token, known).await),
        None => Some(Proof::Nothing(TokenError::Malformed.code())),
    }
}

/// SCRAM against the login's verifier or the one before it, or against one that nobody has. Whose secret it was.
async fn secret(
    shared: &Shared,
    stream: &mut Stream,
    scram: &Authenticator,
    request: &Request,
    login: Option<&Login>,
) -> Option<Option<Whose>> {
    let mock = scram::mock_verifier(
        shared.master.server_password("mock verifiers", 1).as_bytes(),
        &format!("{}\0{}", request.database, request.user),
    );
    let verifier = login.map_or(mock.as_str(), |login| &login.verifier);
    say(stream, SASL, scram.offer()).await?;
    let body = password(stream, SCRAM_MESSAGE_BYTES).await?;
    let Ok((answer, exchange)) = scram.begin(&body, verifier) else { return Some(None) };
    say(stream, SASL_CONTINUE, &answer).await?;
    let body = password(stream, SCRAM_MESSAGE_BYTES).await?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let previous = login.and_then(|login| login.previous.as_ref()).filter(|previous| now < previous.until);
    let previous = previous.map(|previous| previous.verifier.as_str());
    let Ok((answer, whose)) = exchange.finish(&body, previous) else { return Some(None) };
    if login.is_none() {
        return Some(None);
    }
    // It goes out with what a server tells after a login.
    stream.write_all(&message(b'R', &[&SASL_FINAL.to_be_bytes()[..], &answer].concat())).await.ok()?;
    Some(Some(whose))
}

async fn say(stream: &mut Stream, code: i32, body: &[u8]) -> Option<()> {
    stream.write_all(&message(b'R', &[&code.to_be_bytes()[..], body].concat())).await.ok()?;
    stream.flush().await.ok()
}

async fn password(stream: &mut Stream, most: usize) -> Option<Vec<u8>> {
    let mut head = [0; HEADER_BYTES];
    stream.read_exact(&mut head).await.ok()?;
    let header = frame::header(&head).ok()??;
    if header.tag != b'p' || header.body > most {
        return None;
    }
    let mut body = vec![0; header.body];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

/// Whether this client may try to log in now; the words where it may not.
pub(crate) fn throttled(
    shared: &Arc<Shared>,
    request: &Request,
    address: SocketAddr,
) -> Option<(crate::throttle::Refused, String)> {
    let refused = shared.throttle.check(address.ip(), &request.database, Instant::now()).err()?;
    let seconds = refused.wait.as_secs() + 1;
    let hint = format!("The proxy's limit is {}. Try again in {seconds} seconds.", refused.full.limit());
    Some((refused, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_texts_or_lists_of_texts() {
        let claims = serde_json::json!({"tenant": "acme", "login": ["app", "readonly"], "level": 7});
        let claims = claims.as_object().unwrap();
        for (claim, text, want) in [
            ("tenant", "acme", true),
            ("tenant", "acm", false),
            ("login", "readonly", true),
            ("login", "owner", false),
            ("level", "7", false),
            ("none", "acme", false),
        ] {
            assert_eq!(says(claims, claim, text), want, "{claim} {text}");
        }
    }
}
