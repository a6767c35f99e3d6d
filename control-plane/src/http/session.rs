//! `/api/v1/session`: the admin UI's session, an httpOnly same-site cookie. A request with the cookie that changes
//! something must also bring the session's CSRF token and come from the control plane's own pages.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use palisade_catalog::secrets::random_client_secret;
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use crate::http::auth::{Caller, Via};
use crate::http::problem::Problem;
use crate::{Shared, tokens};

/// The cookie's name.
const NAME: &str = "palisade_session";

/// A session, as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    subject: String,
    roles: Vec<String>,
    /// The tenants that it is for; null is all.
    tenants: Option<Vec<String>>,
    /// To be sent as X-CSRF-Token with every request that changes something; null for a caller without a session.
    csrf: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// The value of a cookie.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|h| h.to_str().ok()).flat_map(|h| h.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(n, _)| *n == name).map(|(_, value)| value)
}

/// The session's cookie in a request.
pub(crate) fn given(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, NAME)
}

/// A cookie's line: httpOnly, same-site, and only over TLS unless the control plane is on loopback.
pub(crate) fn line(shared: &Shared, name: &str, value: &str, seconds: i64) -> HeaderValue {
    let secure = if shared.config.secure_cookies() { "; Secure" } else { "" };
    let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    // Names are ours, values base64: always a header's value.
    HeaderValue::from_str(&line).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The caller of a session's cookie. `None`: there is no such session.
pub(crate) async fn caller(shared: &Shared, given: &str) -> Result<Option<Caller>, Problem> {
    let client = shared.pool.get().await?;
    let sql = client
        .prepare_cached(
            "SELECT s.subject, s.person, s.roles, s.tenants, s.csrf, s.expires_at
             FROM palisade_control.sessions s LEFT JOIN palisade_control.api_tokens t ON t.id = s.token_id
             WHERE s.id_hash = $1 AND s.expires_at > now() AND t.revoked_at IS NULL",
        )
        .await?;
    let row = client.query_opt(&sql, &[&tokens::digest(given)]).await?;
    Ok(row.map(|row| Caller {
        subject: row.get(0),
        person: row.get(1),
        roles: row.get(2),
        tenants: row.get(3),
        expires_at: row.get(5),
        via: Via::Session { csrf: row.get(4) },
    }))
}

/// Whether a request with a session's cookie is the UI's own: it brings the session's token, and no foreign page sent it.
pub(crate) fn own(method: &Method, headers: &HeaderMap, csrf: &str) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return true;
    }
    let brought = headers.get("x-csrf-token").map(HeaderValue::as_bytes).unwrap_or_default();
    let same: bool = subtle::ConstantTimeEq::ct_eq(brought, csrf.as_bytes()).into();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let here = match text(ORIGIN) {
        Some(origin) => origin.split_once("://").map(|(_, host)| host) == text(HOST),
        None => true,
    };
    same && here
}

/// Opens a session for a caller; its answer sets the cookie.
pub(crate) async fn begin(shared: &Shared, caller: &Caller) -> Result<(String, Session), Problem> {
    let (id, csrf) = (random_client_secret() + &*random_client_secret(), random_client_secret());
    let latest = OffsetDateTime::now_utc() + Duration::hours(i64::from(shared.config.session_hours));
    let expires_at = caller.expires_at.min(latest);
    let token = match &caller.via {
        Via::Token { id } => Some(id),
        _ => None,
    };
    let client = shared.pool.get().await?;
    client
        .execute(
            "INSERT INTO palisade_control.sessions (id_hash, csrf, subject, person, roles, tenants, token_id, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            &[
                &tokens::digest(&id),
                &csrf,
                &caller.subject,
                &caller.person,
                &caller.roles,
                &caller.tenants,
                &token,
                &expires_at,
            ],
        )
        .await?;
    Ok((id, session(caller, Some(csrf), expires_at)))
}

fn session(caller: &Caller, csrf: Option<String>, expires_at: OffsetDateTime) -> Session {
    Session {
        subject: caller.subject.clone(),
        roles: caller.roles.clone(),
        tenants: caller.tenants.clone(),
        csrf,
        expires_at: Some(expires_at),
    }
}

/// The line that sets a session's cookie.
pub(crate) fn set(shared: &Shared, id: &str) -> HeaderValue {
    line(shared, NAME, id, i64::from(shared.config.session_hours) * 3_600)
}

/// Show the session
#[utoipa::path(get, path = "/session", tag = "session", responses((status = 200, body = Session)))]
pub(crate) async fn show(caller: Caller) -> Json<Session> {
    let csrf = match &caller.via {
        Via::Session { csrf } => Some(csrf.clone()),
        _ => None,
    };
    Json(session(&caller, csrf, caller.expires_at))
}

/// Open a session for a token's owner
///
/// The answer sets an httpOnly cookie; it lasts no longer than the token.
#[utoipa::path(post, path = "/session", tag = "session", responses((status = 201, body = Session)))]
pub(crate) async fn open(caller: Caller, State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let (id, session) = begin(&shared, &caller).await?;
    Ok((StatusCode::CREATED, [(SET_COOKIE, set(&shared, &id))], Json(session)).into_response())
}

/// End the session
#[utoipa::path(delete, path = "/session", tag = "session", responses((status = 204, description = "Ended")))]
pub(crate) async fn close(
    _: Caller,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(id) = given(&headers) {
        let client = shared.pool.get().await?;
        let sql = "DELETE FROM palisade_control.sessions WHERE id_hash = $1";
        client.execute(sql, &[&tokens::digest(id)]).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, line(&shared, NAME, "", 0))]).into_response())
}

/// Deletes sessions that have ended.
pub(crate) async fn clean(shared: &Shared) -> Result<(), Problem> {
    let client = shared.pool.get().await?;
    client.execute("DELETE FROM palisade_control.sessions WHERE expires_at < now()", &[]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_uis_own_requests_change_something() {
        type Row = (&'static str, &'static [(&'static str, &'static str)], bool);
        let table: [Row; 6] = [
            ("GET", &[], true),
            ("POST", &[], false),
            ("POST", &[("x-csrf-token", "wrong")], false),
            ("POST", &[("x-csrf-token", "good")], true),
            (
                "DELETE",
                &[("x-csrf-token", "good"), ("origin", "https://p.example"), ("host", "p.example")],
                true,
            ),
            (
                "POST",
                &[("x-csrf-token", "good"), ("origin", "https://evil.example"), ("host", "p.example")],
                false,
            ),
        ];
        for (method, pairs, want) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(own(&method.parse().unwrap(), &headers, "good"), want, "{method} {pairs:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "a=b; palisade_session=x; c=d".parse().unwrap());
        assert_eq!(given(&headers), Some("x"));
        assert_eq!(cookie(&headers, "session"), None);
    }
}
