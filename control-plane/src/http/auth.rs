//! Who a caller is: a JSON Web Token, checked before any handler runs. A refusal is on record before it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use palisade_catalog::audit::Decision;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::config::AuthConfig;
use crate::http::endpoints::{ROLES, Right, allows, right};
use crate::http::flood::Flood;
use crate::http::keys::{Key, Keys};
use crate::http::problem::Problem;
use crate::{Shared, audit, provision};

/// Longest token, in bytes.
const TOKEN_BYTES: usize = 8_192;
/// Longest subject, in bytes.
const SUBJECT_BYTES: usize = 200;

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    roles: Vec<String>,
}

/// Somebody with a valid token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) subject: String,
    pub(crate) roles: Vec<String>,
}

/// Why a request is refused: a code for the audit trail, who it was where that is known, and the answer.
struct Refusal {
    code: &'static str,
    subject: Option<String>,
    problem: Box<Problem>,
}

fn unknown(code: &'static str, detail: &str) -> Refusal {
    Refusal { code, subject: None, problem: Box::new(Problem::unauthorized(detail)) }
}

impl Caller {
    fn may(&self, right: Option<Right>) -> Result<(), Refusal> {
        let refuse = |detail: String| Refusal {
            code: "no_right",
            subject: Some(self.subject.clone()),
            problem: Box::new(Problem::forbidden(detail)),
        };
        let Some(right) = right else { return Err(refuse("no role is allowed this".into())) };
        if self.roles.iter().any(|role| allows(role, right)) {
            return Ok(());
        }
        let needed: Vec<_> = ROLES.into_iter().filter(|role| allows(role, right)).collect();
        Err(refuse(format!("this needs one of the roles {}", needed.join(", "))))
    }
}

/// Checks tokens.
pub(crate) struct Verifier {
    pub(crate) keys: Keys,
    validation: Validation,
    flood: Mutex<Flood>,
}

impl Verifier {
    /// Reads the keys.
    pub(crate) fn new(config: &AuthConfig) -> Result<Self, String> {
        let mut validation = Validation::default();
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = config.leeway_seconds;
        Ok(Self { keys: Keys::new(config)?, validation, flood: Mutex::new(Flood::default()) })
    }

    /// The caller of a request. Nothing of the token is repeated.
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let header = headers.get("authorization").and_then(|h| h.to_str().ok());
        let Some(token) = header.and_then(|h| h.strip_prefix("Bearer ")).map(str::trim) else {
            return Err(unknown("no_token", "send a token in the header Authorization: Bearer …"));
        };
        if token.len() > TOKEN_BYTES {
            return Err(unknown("oversized_token", "the token is too long"));
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| unknown("malformed_token", "the token is not valid"))?;
        if header.crit.is_some() {
            return Err(unknown("malformed_token", "the token's critical headers are not known"));
        }
        let mut refusal = unknown("unknown_key", "the token's key is not known");
        for key in self.keys.candidates(header.kid.as_deref()).await {
            if key.algorithm != header.alg {
                refusal = unknown("wrong_algorithm", "the token's algorithm is not accepted");
                continue;
            }
            match self.check(token, &key) {
                Ok(caller) => return Ok(caller),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn check(&self, token: &str, key: &Key) -> Result<Caller, Refusal> {
        let mut validation = self.validation.clone();
        validation.algorithms = vec![key.algorithm];
        let claims = jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => unknown("expired_token", "the token has expired"),
                ErrorKind::InvalidIssuer => unknown("wrong_issuer", "the token's issuer is not accepted"),
                ErrorKind::InvalidAudience => unknown("wrong_audience", "the token is for another audience"),
                ErrorKind::ImmatureSignature => unknown("early_token", "the token is not valid yet"),
                ErrorKind::InvalidSignature => unknown("wrong_signature", "the token is not valid"),
                _ => unknown("malformed_token", "the token is not valid"),
            })?
            .claims;
        if claims.sub.is_empty()
            || claims.sub.len() > SUBJECT_BYTES
            || claims.sub.chars().any(char::is_control)
        {
            return Err(unknown("malformed_token", "the token's subject is not valid"));
        }
        Ok(Caller { subject: claims.sub, roles: claims.roles })
    }
}

/// Reads the key set now and every so often. Ends with its task.
pub(crate) async fn follow_keys(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(Duration::from_secs(shared.config.auth.jwks_refresh_seconds));
    loop {
        tick.tick().await;
        shared.tokens.keys.refresh().await;
    }
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Problem;

    /// Checks the token, and the endpoint's right.
    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let path = parts.extensions.get::<MatchedPath>().map(|p| p.as_str().to_owned()).unwrap_or_default();
        let route = path.strip_prefix("/api/v1").unwrap_or(&path);
        let admitted = match shared.tokens.caller(&parts.headers).await {
            Ok(caller) => caller.may(right(parts.method.as_str(), route)).map(|()| caller),
            Err(refusal) => Err(refusal),
        };
        match admitted {
            Ok(caller) => Ok(caller),
            Err(refusal) => {
                let from = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
                record(shared, &refusal, from, &format!("{} {route}", parts.method)).await?;
                Err(*refusal.problem)
            }
        }
    }
}

/// Writes a refusal into the audit trail, unless its address has had many: those are counted. Without a record there
/// is no answer but that there is no record.
async fn record(
    shared: &Shared,
    refusal: &Refusal,
    from: Option<SocketAddr>,
    endpoint: &str,
) -> Result<(), Problem> {
    let address = from.map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |from| from.ip());
    let Some(suppressed) = shared.tokens.flood.lock().admit(address, Instant::now()) else { return Ok(()) };
    let actor = refusal.subject.as_deref().unwrap_or("unknown");
    let mut event = provision::system_event("api.refused", actor);
    event.decision = Decision::Deny;
    event.result = "denied".into();
    event.reason = Some(refusal.code.into());
    event.object = Some(endpoint.into());
    event.client_addr = from.map(|from| from.to_string());
    if suppressed > 0 {
        event.detail = serde_json::json!({ "not_written_before": suppressed });
    }
    let mut client = shared.pool.get().await?;
    let tx = client.transaction().await?;
    audit::insert(&tx, &event).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests;
