//! Signing in by OpenID Connect: authorization code with PKCE, through the control plane. The browser never holds a
//! token of the provider; it holds the session's cookie.
//!
//! What the callback must know of the sign-in it belongs to stands in a signed, httpOnly cookie.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use palisade_catalog::secrets::random_client_secret;
use palisade_tokens::{Expected, Sources, Tokens};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::config::OidcConfig;
use crate::http::auth::{Caller, Via};
use crate::http::problem::Problem;
use crate::http::{Asked, confirm, session};
use crate::{Shared, audit, provision};

/// The cookie of a sign-in under way.
const COOKIE: &str = "palisade_sign_in";
/// How long a sign-in may take, in seconds.
const SIGN_IN_SECONDS: i64 = 600;
/// How far our clock and the provider's may differ, in seconds.
const LEEWAY_SECONDS: u64 = 30;
/// Longest wait for the provider.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest document of the provider, in bytes.
const DOCUMENT_BYTES: u64 = 256 << 10;
/// Longest path to return to, in bytes.
const RETURN_BYTES: usize = 500;

/// What the provider says about itself.
#[derive(Debug, Deserialize)]
struct Provider {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

/// A sign-in under way.
#[derive(Debug, Serialize, Deserialize)]
struct SignIn {
    state: String,
    nonce: String,
    /// PKCE's secret half.
    verifier: String,
    return_to: String,
    until: i64,
}

/// Where to go behind the sign-in.
#[derive(Deserialize)]
pub(crate) struct LoginQuery {
    return_to: Option<String>,
}

/// What the provider sends back.
#[derive(Deserialize)]
pub(crate) struct CallbackQuery {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// `GET /auth/login`: sends the browser to the provider.
pub(crate) async fn login(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<LoginQuery>,
) -> Result<Response, Problem> {
    let config = configured(&shared)?;
    let provider = discover(config).await?;
    let sign_in = SignIn {
        state: random_client_secret(),
        nonce: random_client_secret(),
        verifier: random_client_secret() + &*random_client_secret(),
        return_to: local(asked.return_to),
        until: OffsetDateTime::now_utc().unix_timestamp() + SIGN_IN_SECONDS,
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(sign_in.verifier.as_bytes()));
    let separator = if provider.authorization_endpoint.contains('?') { '&' } else { '?' };
    let query = form(&[
        ("response_type", "code"),
        ("client_id", &config.client_id),
        ("redirect_uri", &config.redirect_url),
        ("scope", &config.scopes.join(" ")),
        ("state", &sign_in.state),
        ("nonce", &sign_in.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let to = format!("{}{separator}{query}", provider.authorization_endpoint);
    let cookie = session::line(&shared, COOKIE, &sealed(&shared, &sign_in), SIGN_IN_SECONDS);
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie)], [(LOCATION, to)]).into_response())
}

/// `GET /auth/callback`: takes the code to the provider, checks who it is, and opens a session.
pub(crate) async fn callback(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Asked(asked): Asked<CallbackQuery>,
) -> Result<Response, Problem> {
    let config = configured(&shared)?;
    let signed_in = finish(&shared, config, &headers, asked).await;
    let (caller, return_to) = match signed_in {
        Ok(done) => done,
        Err(problem) => {
            let mut event = provision::system_event("session.refused", "unknown");
            event.decision = palisade_catalog::audit::Decision::Deny;
            event.result = "denied".into();
            event.detail = serde_json::json!({ "reason": problem.detail });
            audit::record(&shared, &event).await?;
            return Err(problem);
        }
    };
    let (id, _) = session::begin(&shared, &caller).await?;
    audit::record(&shared, &provision::system_event("session.open", &caller.subject)).await?;
    let cookies =
        [(SET_COOKIE, session::line(&shared, COOKIE, "", 0)), (SET_COOKIE, session::set(&shared, &id))];
    Ok((StatusCode::SEE_OTHER, AppendHeaders(cookies), [(LOCATION, return_to)]).into_response())
}

fn configured(shared: &Shared) -> Result<&OidcConfig, Problem> {
    let config = shared.config.oidc.as_ref();
    config.ok_or_else(|| {
        Problem::not_found("signing in by OpenID Connect is not configured ([control_plane.oidc])")
    })
}

async fn finish(
    shared: &Shared,
    config: &OidcConfig,
    headers: &HeaderMap,
    asked: CallbackQuery,
) -> Result<(Caller, String), Problem> {
    let refused = |detail: &str| Problem::unauthorized(detail);
    let cookie = session::cookie(headers, COOKIE).and_then(|text| opened(shared, text));
    let sign_in =
        cookie.ok_or_else(|| refused("no sign-in is under way in this browser, or it took too long"))?;
    let state = asked.state.unwrap_or_default();
    let same = subtle::ConstantTimeEq::ct_eq(state.as_bytes(), sign_in.state.as_bytes());
    if !bool::from(same) {
        return Err(refused("the answer belongs to another sign-in"));
    }
    let code = match (asked.code, asked.error) {
        (Some(code), None) => code,
        _ => return Err(refused("the provider refused the sign-in")),
    };
    let provider = discover(config).await?;
    let token = exchange(config, &provider, &code, &sign_in.verifier).await?;
    let claims = check(config, &provider, &token).await?;
    if claims["nonce"].as_str() != Some(&sign_in.nonce) {
        return Err(refused("the token belongs to another sign-in"));
    }
    Ok((person(config, &claims)?, sign_in.return_to))
}

/// The code for a token, at the provider.
async fn exchange(
    config: &OidcConfig,
    provider: &Provider,
    code: &str,
    verifier: &str,
) -> Result<String, Problem> {
    let secret = match &config.client_secret_file {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Problem::internal(format!("auth.oidc client_secret_file: {error}")))?,
        None => String::new(),
    };
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &config.redirect_url),
        ("client_id", &config.client_id),
        ("code_verifier", verifier),
    ];
    if !secret.trim().is_empty() {
        fields.push(("client_secret", secret.trim()));
    }
    let (url, body) = (provider.token_endpoint.clone(), form(&fields));
    let answer = blocking(move || {
        let request =
            crate::agent(TIMEOUT).post(&url).header("Content-Type", "application/x-www-form-urlencoded");
        let mut answer = request.send(body).map_err(|e| format!("the provider's token endpoint: {e}"))?;
        answer.body_mut().with_config().limit(DOCUMENT_BYTES).read_json::<Value>().map_err(|e| e.to_string())
    })
    .await?;
    let token = answer["id_token"].as_str().map(str::to_owned);
    token.ok_or_else(|| Problem::unauthorized("the provider gave no ID token"))
}

/// The claims of an ID token that the provider signed for us.
async fn check(config: &OidcConfig, provider: &Provider, token: &str) -> Result<Value, Problem> {
    let sources = Sources { jwks_url: Some(provider.jwks_uri.clone()), ..Sources::default() };
    let (issuer, audience) = (provider.issuer.clone(), config.client_id.clone());
    let expected = Expected { issuer, audience, leeway_seconds: LEEWAY_SECONDS };
    let tokens = Tokens::new(&sources, &expected).map_err(Problem::internal)?;
    tokens
        .verify(token)
        .await
        .map_err(|error| Problem::unauthorized(format!("the provider's ID token: {error}")))
}

/// Who signed in: the subject, and the roles that its claim names, by the map where there is one.
fn person(config: &OidcConfig, claims: &Value) -> Result<Caller, Problem> {
    let subject = claims[&config.subject_claim].as_str().unwrap_or_default();
    if subject.is_empty() || subject.len() > 200 || subject.chars().any(char::is_control) {
        let claim = &config.subject_claim;
        return Err(Problem::unauthorized(format!("the provider's token has no usable claim {claim}")));
    }
    let words = |name: &str| -> Vec<String> {
        let list = claims[name].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let named = words(&config.roles_claim);
    let roles: Vec<String> = if config.role_map.is_empty() {
        named
    } else {
        named.iter().filter_map(|name| config.role_map.get(name).cloned()).collect()
    };
    if roles.is_empty() {
        return Err(Problem::forbidden("the provider names no role for you"));
    }
    let tenants = claims.get("tenants").map(|_| words("tenants"));
    let expires_at = OffsetDateTime::now_utc() + time::Duration::days(365);
    Ok(Caller {
        subject: subject.to_owned(),
        person: subject.to_owned(),
        roles,
        tenants,
        expires_at,
        via: Via::Jwt,
    })
}

async fn discover(config: &OidcConfig) -> Result<Provider, Problem> {
    let (issuer, wanted) = (config.issuer.clone(), config.issuer.clone());
    let provider = blocking(move || {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let mut answer = crate::agent(TIMEOUT).get(&url).call().map_err(|e| format!("{url}: {e}"))?;
        let document = answer.body_mut().with_config().limit(DOCUMENT_BYTES).read_json::<Provider>();
        document.map_err(|e| format!("{url}: {e}"))
    })
    .await?;
    let good = [&provider.authorization_endpoint, &provider.token_endpoint, &provider.jwks_uri];
    if provider.issuer != wanted || !good.into_iter().all(|url| crate::config::good_url(url)) {
        return Err(Problem::unavailable(
            "the provider's document is not of the configured issuer, or without TLS",
        ));
    }
    Ok(provider)
}

async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Problem> {
    let asked = tokio::task::spawn_blocking(ask).await;
    let asked = asked.unwrap_or_else(|error| Err(format!("the reader failed: {error}")));
    asked.map_err(|error| {
        tracing::warn!(%error, "the OpenID Connect provider does not answer as it should");
        Problem::unavailable("the sign-in provider does not answer as it should; try again")
    })
}

/// A form, percent-encoded.
fn form(fields: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}

/// A path of our own pages; anything else is the first page.
fn local(path: Option<String>) -> String {
    let good = |path: &String| {
        path.len() <= RETURN_BYTES
            && path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    path.filter(good).unwrap_or_else(|| "/".into())
}

fn sealed(shared: &Shared, sign_in: &SignIn) -> String {
    // Five plain fields always have a JSON form.
    let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(sign_in).unwrap_or_default());
    format!("{text}.{}", confirm::sign(shared, &["sign in", &text], sign_in.until))
}

fn opened(shared: &Shared, cookie: &str) -> Option<SignIn> {
    let (text, signature) = cookie.split_once('.')?;
    let sign_in: SignIn = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let expected = confirm::sign(shared, &["sign in", text], sign_in.until);
    let same: bool = subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), signature.as_bytes()).into();
    (same && sign_in.until >= OffsetDateTime::now_utc().unix_timestamp()).then_some(sign_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_are_returned_to() {
        for (path, want) in [
            ("/tenants?x=1", "/tenants?x=1"),
            ("//evil.example", "/"),
            ("https://evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/a b", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(Some(path.into())), want, "{path}");
        }
    }

    #[test]
    fn roles_come_from_the_claim_by_the_map() {
        let mut config = OidcConfig::default();
        let claims = serde_json::json!({ "sub": "ann", "roles": ["viewer", "db-admins"] });
        assert_eq!(person(&config, &claims).unwrap().roles, ["viewer", "db-admins"]);
        config.role_map.insert("db-admins".into(), "admin".into());
        assert_eq!(person(&config, &claims).unwrap().roles, ["admin"]);
        assert!(person(&config, &serde_json::json!({ "sub": "ann", "roles": ["viewer"] })).is_err());
        assert!(person(&config, &serde_json::json!({ "sub": "", "roles": ["db-admins"] })).is_err());
    }
}
