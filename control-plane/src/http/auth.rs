//! Who a caller is: a JSON Web Token, checked before any handler runs. A refusal is on record before it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use palisade_catalog::address::network;
use palisade_catalog::audit::Decision;
use palisade_tokens::{Expected, Sources, TokenError, Tokens};
use parking_lot::Mutex;
use serde::Deserialize;
use time::OffsetDateTime;

use crate::config::AuthConfig;
use crate::http::endpoints::{RIGHTS, ROLES, Right, Scope, allows, right};
use crate::http::flood::Buckets;
use crate::http::problem::Problem;
use crate::http::session;
use crate::{Shared, audit, operations, provision, tenants, tokens};

/// Longest subject, in bytes.
const SUBJECT_BYTES: usize = 200;

/// Most refusals of one address that are written at once.
const WRITTEN: u32 = 10;
/// One more is written after this time.
const WRITTEN_AGAIN: Duration = Duration::from_secs(6);

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    #[serde(default)]
    roles: Vec<String>,
    /// Slugs or ids of the tenants that it is for; absent is all.
    tenants: Option<Vec<String>>,
}

/// Somebody with a valid token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Stands in the audit trail.
    pub(crate) subject: String,
    /// Who stands behind it: the maker of an API token, else the subject.
    pub(crate) person: String,
    pub(crate) roles: Vec<String>,
    /// Slugs or ids of the tenants that it may see; `None` is all.
    pub(crate) tenants: Option<Vec<String>>,
    /// When its token or session ends.
    pub(crate) expires_at: OffsetDateTime,
    pub(crate) via: Via,
}

/// How a caller showed who it is.
#[derive(Debug, Clone)]
pub(crate) enum Via {
    /// A JSON Web Token, or a sign-in at the provider.
    Jwt,
    /// An API token.
    Token { id: String },
    /// The UI's cookie.
    Session { csrf: String },
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
    /// Whether one of its roles has a right.
    pub(crate) fn has(&self, right: Right) -> bool {
        self.roles.iter().any(|role| allows(role, right))
    }

    /// Whether it has every right that a role has.
    pub(crate) fn has_role(&self, role: &str) -> bool {
        RIGHTS.iter().all(|(right, _)| !allows(role, *right) || self.has(*right))
    }

    fn refuse(&self, code: &'static str, detail: impl Into<String>) -> Refusal {
        let problem = Box::new(Problem::forbidden(detail));
        Refusal { code, subject: Some(self.subject.clone()), problem }
    }

    fn may(&self, wanted: Option<(Right, Scope)>) -> Result<Scope, Refusal> {
        let Some((right, scope)) = wanted else {
            return Err(self.refuse("no_right", "no role is allowed this"));
        };
        if !self.has(right) {
            let needed: Vec<_> = ROLES.into_iter().filter(|role| allows(role, right)).collect();
            let needed = needed.join(", ");
            return Err(self.refuse("no_right", format!("this needs one of the roles {needed}")));
        }
        if scope == Scope::Global && self.tenants.is_some() {
            return Err(self.refuse("no_scope", "this is about all tenants, and the token is for some"));
        }
        Ok(scope)
    }
}

/// Checks tokens.
pub(crate) struct Verifier {
    pub(crate) tokens: Tokens,
    flood: Mutex<Buckets<std::net::IpAddr>>,
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
        Ok(Self {
            tokens: Tokens::new(&sources, &expected)?,
            flood: Mutex::new(Buckets::new(WRITTEN, WRITTEN_AGAIN)),
        })
    }

    /// The owner of a JSON Web Token. Nothing of the token is repeated.
    async fn jwt(&self, token: &str) -> Result<Caller, Refusal> {
        let claims: Claims = self.tokens.verify(token).await.map_err(refused)?;
        if claims.sub.is_empty()
            || claims.sub.len() > SUBJECT_BYTES
            || claims.sub.chars().any(char::is_control)
        {
            return Err(unknown("malformed_token", "the token's subject is not valid"));
        }
        let expires_at = OffsetDateTime::from_unix_timestamp(claims.exp)
            .map_err(|_| unknown("malformed_token", "the token's end is not valid"))?;
        Ok(Caller {
            person: claims.sub.clone(),
            subject: claims.sub,
            roles: claims.roles,
            tenants: claims.tenants,
            expires_at,
            via: Via::Jwt,
        })
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

/// The caller of a request that its token and its roles let in, and what the endpoint means to it. A refusal is on
/// record before it is answered.
pub(crate) async fn admit(
    shared: &Shared,
    (method, route): (&Method, &str),
    headers: &HeaderMap,
    from: Option<SocketAddr>,
) -> Result<(Caller, Scope), Problem> {
    let address = from.map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |from| from.ip());
    let admitted = match caller(shared, method, headers, from).await? {
        Ok(caller) => caller.may(right(method.as_str(), route)).map(|scope| (caller, scope)),
        Err(refusal) => Err(refusal),
    };
    match admitted {
        Ok(admitted) => Ok(admitted),
        Err(refusal) => {
            if !shared.rates.refused(address) {
                return Err(Problem::rate_limited("too many refused requests from this address"));
            }
            record(shared, &refusal, from, &format!("{method} {route}")).await?;
            Err(*refusal.problem)
        }
    }
}

/// Who asks: by the header Authorization, else by the session's cookie.
async fn caller(
    shared: &Shared,
    method: &Method,
    headers: &HeaderMap,
    from: Option<SocketAddr>,
) -> Result<Result<Caller, Refusal>, Problem> {
    let header = headers.get("authorization").and_then(|h| h.to_str().ok());
    if let Some(token) = header.and_then(|h| h.strip_prefix("Bearer ")).map(str::trim) {
        return match token.strip_prefix(tokens::PREFIX) {
            Some(token) => api_token(shared, token, from).await,
            None => Ok(shared.tokens.jwt(token).await),
        };
    }
    let Some(cookie) = session::given(headers) else {
        let said = "send a token in the header Authorization: Bearer …, or sign in";
        return Ok(Err(unknown("no_token", said)));
    };
    let Some(caller) = session::caller(shared, cookie).await? else {
        return Ok(Err(unknown("no_session", "the session has ended; sign in again")));
    };
    let Via::Session { csrf } = &caller.via else { return Ok(Ok(caller)) };
    if session::own(method, headers, csrf) {
        return Ok(Ok(caller));
    }
    let problem =
        Problem::csrf("send the session's \"csrf\" in the header X-CSRF-Token, from the UI's own pages");
    Ok(Err(Refusal { code: "csrf", subject: Some(caller.subject.clone()), problem: Box::new(problem) }))
}

/// The owner of an API token, `<id>_<secret>`.
async fn api_token(
    shared: &Shared,
    token: &str,
    from: Option<SocketAddr>,
) -> Result<Result<Caller, Refusal>, Problem> {
    let refused = || Ok(Err(unknown("unknown_token", "the API token is not known, revoked or too old")));
    let Some((id, secret)) = token.split_once('_').filter(|_| token.len() <= palisade_tokens::TOKEN_BYTES)
    else {
        return refused();
    };
    let client = shared.pool.get().await?;
    let from = from.map(|from| from.ip().to_string());
    let Some((token, hash)) = tokens::used(&client, id, secret, from.as_deref()).await? else {
        return refused();
    };
    if !bool::from(subtle::ConstantTimeEq::ct_eq(&*hash, &*tokens::digest(secret))) {
        return refused();
    }
    Ok(Ok(Caller {
        subject: format!("token:{}", token.name),
        person: token.created_by,
        roles: token.roles,
        tenants: token.tenants,
        expires_at: token.expires_at,
        via: Via::Token { id: token.id },
    }))
}

/// Refuses a caller of some tenants whose request is about another: for it there is no such thing.
pub(crate) async fn within(
    shared: &Shared,
    caller: &Caller,
    scope: Scope,
    thing: &str,
) -> Result<(), Problem> {
    let Some(own) = &caller.tenants else { return Ok(()) };
    let client = shared.pool.get().await?;
    let tenant = match scope {
        Scope::Common | Scope::Listed => return Ok(()),
        Scope::Global => return Err(Problem::forbidden("this is about all tenants")),
        Scope::Tenant => Some(thing.to_owned()),
        Scope::Operation => match thing.parse() {
            Ok(id) => operations::find(&client, id).await?.map(|operation| operation.tenant_id),
            Err(_) => None,
        },
    };
    let missing = || match scope {
        Scope::Operation => Problem::not_found("there is no operation with this id"),
        _ => Problem::not_found(format!("there is no tenant with the id or slug \"{thing}\"")),
    };
    let tenant = tenant.ok_or_else(missing)?;
    // What the request may be about is what is asked for, not whoever had the slug before.
    let meant = tenants::meant(&client, &tenant).await?;
    let is_own = |(id, slug, _): &(String, String, _)| own.contains(id) || own.contains(slug);
    if !meant.is_empty() && meant.iter().all(is_own) { Ok(()) } else { Err(missing()) }
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
    let Some(suppressed) = shared.tokens.flood.lock().admit(network(address), Instant::now()) else {
        return Ok(());
    };
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
    audit::record(shared, &event).await
}

#[cfg(test)]
mod tests;
