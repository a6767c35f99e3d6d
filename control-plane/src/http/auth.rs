//! Who a caller is: a JSON Web Token, checked before any handler runs. A refusal is on record before it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use palisade_catalog::audit::Decision;
use palisade_tokens::{Expected, Sources, TokenError, Tokens};
use parking_lot::Mutex;
use serde::Deserialize;

use crate::config::AuthConfig;
use crate::http::endpoints::{ROLES, Right, allows, right};
use crate::http::flood::Flood;
use crate::http::problem::Problem;
use crate::{Shared, audit, provision};

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

fn refused(error: TokenError) -> Refusal {
    unknown(error.code(), &error.to_string())
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
    pub(crate) tokens: Tokens,
    flood: Mutex<Flood>,
}

impl Verifier {
    /// Reads the keys.
    pub(crate) fn new(config: &AuthConfig) -> Result<Self, String> {
        let sources = Sources {
            algorithm: config.algorithm.clone(),
            public_key_file: config.public_key_file.clone(),
            jwks_file: config.jwks_file.clone(),
            jwks_url: config.jwks_url.clone(),
            development_secret_file: config.development_secret_file.clone(),
        };
        let expected = Expected {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            leeway_seconds: config.leeway_seconds,
        };
        Ok(Self { tokens: Tokens::new(&sources, &expected)?, flood: Mutex::new(Flood::default()) })
    }

    /// The caller of a request. Nothing of the token is repeated.
    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let header = headers.get("authorization").and_then(|h| h.to_str().ok());
        let Some(token) = header.and_then(|h| h.strip_prefix("Bearer ")).map(str::trim) else {
            return Err(unknown("no_token", "send a token in the header Authorization: Bearer …"));
        };
        let claims: Claims = self.tokens.verify(token).await.map_err(refused)?;
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
        shared.tokens.tokens.refresh().await;
    }
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Problem;

    /// The caller whom the gate let through.
    async fn from_request_parts(parts: &mut Parts, _: &Arc<Shared>) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::internal("a handler was reached past the gate".into()))
    }
}

/// The caller of a request that its token and its roles let in. A refusal is on record before it is answered.
pub(crate) async fn admit(
    shared: &Arc<Shared>,
    request: &mut Request,
    route: &str,
) -> Result<Caller, Problem> {
    let headers = request.headers().clone();
    let admitted = match shared.tokens.caller(&headers).await {
        Ok(caller) => caller.may(right(request.method().as_str(), route)).map(|()| caller),
        Err(refusal) => Err(refusal),
    };
    match admitted {
        Ok(caller) => Ok(caller),
        Err(refusal) => {
            let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
            record(shared, &refusal, from, &format!("{} {route}", request.method())).await?;
            Err(*refusal.problem)
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
