//! The API: routes, their rights, and what every answer carries.
//!
//! - `auth`, `keys`: tokens. `endpoints`: the role × endpoint table. `flood`: bounds what refusals write.
//! - `gate`: what every request goes through; `idempotency`: repeated requests.
//! - `problem`: errors as RFC 9457 problem details.
//! - `tenants`, `audit`, `misc`: the handlers.
//! - `openapi`, `docs`, `shapes`: the API's description for programs and people.
//! - `ui`: the embedded admin UI.

pub(crate) mod auth;
pub(crate) mod problem;

mod approvals;
mod audit;
mod confirm;
mod docs;
mod drift;
mod endpoints;
mod events;
mod flood;
mod gate;
pub(crate) mod idempotency;
mod isolation;
mod migrations;
mod misc;
mod oidc;
mod openapi;
mod operations;
mod plans;
mod policy;
pub(crate) mod rates;
pub(crate) mod session;
mod shapes;
mod slugs;
mod templates;
mod tenants;
mod tokens;
mod ui;
mod usage;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware;
use axum::response::Html;
use axum::routing::{any, get};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Shared;
use problem::Problem;

/// Largest request body, in bytes.
const BODY_BYTES: usize = 1 << 20;
/// Longest handling of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The endpoints below `/api/v1`, and the document that describes them.
pub(crate) fn api() -> (Router<Arc<Shared>>, String) {
    let api = OpenApiRouter::new()
        .routes(routes!(tenants::list, tenants::create::create))
        .routes(routes!(tenants::show, tenants::change::change, tenants::rollback::delete))
        .routes(routes!(tenants::status))
        .routes(routes!(tenants::rollback::rollback))
        .routes(routes!(tenants::rollback::undelete))
        .routes(routes!(tenants::switch::suspend))
        .routes(routes!(tenants::switch::resume))
        .routes(routes!(tenants::switch::rotate))
        .routes(routes!(tenants::logins::add))
        .routes(routes!(tenants::logins::remove))
        .routes(routes!(tenants::copy::export))
        .routes(routes!(tenants::copy::clone))
        .routes(routes!(usage::usage))
        .routes(routes!(tenants::sessions::sessions))
        .routes(routes!(tenants::sessions::terminate))
        .routes(routes!(operations::list))
        .routes(routes!(operations::operation))
        .routes(routes!(operations::wait))
        .routes(routes!(operations::cancel))
        .routes(routes!(slugs::show))
        .routes(routes!(events::operation_events))
        .routes(routes!(events::all_events))
        .routes(routes!(migrations::list, migrations::start))
        .routes(routes!(migrations::show))
        .routes(routes!(migrations::targets))
        .routes(routes!(migrations::watch::watch))
        .routes(routes!(migrations::control::pause))
        .routes(routes!(migrations::control::resume))
        .routes(routes!(migrations::control::abort))
        .routes(routes!(migrations::control::retry))
        .routes(routes!(drift::fleet))
        .routes(routes!(drift::tenant))
        .routes(routes!(templates::list, templates::register))
        .routes(routes!(misc::warm_pool))
        .routes(routes!(misc::installation))
        .routes(routes!(plans::list))
        .routes(routes!(plans::put))
        .routes(routes!(policy::show, policy::activate))
        .routes(routes!(policy::check))
        .routes(routes!(policy::rollback))
        .routes(routes!(policy::epochs))
        .routes(routes!(policy::epoch))
        .routes(routes!(policy::mode))
        .routes(routes!(audit::list))
        .routes(routes!(audit::histogram))
        .routes(routes!(audit::checkpoints))
        .routes(routes!(audit::integrity))
        .routes(routes!(audit::export))
        .routes(routes!(audit::bundle))
        .routes(routes!(audit::holds, audit::hold))
        .routes(routes!(audit::release))
        .routes(routes!(audit::sinks))
        .routes(routes!(isolation::list, isolation::start))
        .routes(routes!(isolation::show))
        .routes(routes!(isolation::cancel))
        .routes(routes!(isolation::report))
        .routes(routes!(isolation::watch))
        .routes(routes!(misc::explain))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::refuse))
        .routes(routes!(session::show, session::open, session::close))
        .routes(routes!(misc::whoami));
    let (router, document) =
        OpenApiRouter::with_openapi(openapi::base()).nest("/api/v1", api).split_for_parts();
    // A document is strings, lists and maps: it always has a JSON form.
    let text = serde_json::to_string_pretty(&openapi::complete(document)).unwrap_or_default() + "\n";
    (router, text)
}

/// All routes.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let (api, document) = api();
    let page = docs::page(&serde_json::from_str(&document).unwrap_or_default());
    let json = [(CONTENT_TYPE, "application/json")];
    api.route_layer(middleware::from_fn_with_state(shared.clone(), gate::gate))
        .route("/api/v1/openapi.json", get(|| async { (json, document) }))
        .route("/api/v1/docs", get(|| async { Html(page) }))
        .route("/api/{*rest}", any(misc::no_such_endpoint))
        .method_not_allowed_fallback(misc::no_such_method)
        .route("/auth/login", get(oidc::login))
        .route("/auth/callback", get(oidc::callback))
        .route("/problems/{name}", get(problem::explain))
        .route("/livez", get(misc::live))
        .route("/readyz", get(misc::ready))
        .fallback(ui::serve)
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT))
        .layer(RequestBodyLimitLayer::new(BODY_BYTES))
        .layer(CatchPanicLayer::new())
        .layer(middleware::map_response(problem::uniform))
        .layer(header("x-content-type-options", "nosniff"))
        .layer(header("x-frame-options", "DENY"))
        .layer(header("referrer-policy", "no-referrer"))
        .layer(header("cross-origin-opener-policy", "same-origin"))
        .layer(header("cross-origin-resource-policy", "same-origin"))
        .layer(header("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"))
        .layer(header("strict-transport-security", "max-age=31536000"))
        .layer(header("cache-control", "no-store"))
        .layer(header(
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ))
        .with_state(shared)
}

fn header(name: &'static str, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), HeaderValue::from_static(value))
}

/// A JSON body; what is wrong with it is said as a problem.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: serde::de::DeserializeOwned> FromRequest<Arc<Shared>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        match axum::Json::<T>::from_request(request, shared).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::bad_request(rejection.body_text())),
        }
    }
}

/// A JSON body that may be left out.
pub(crate) struct MaybeBody<T>(pub(crate) T);

impl<T: serde::de::DeserializeOwned + Default> FromRequest<Arc<Shared>> for MaybeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let bytes = axum::body::Bytes::from_request(request, shared).await;
        let bytes = bytes.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let read = serde_json::from_slice(&bytes);
        read.map(Self)
            .map_err(|error| Problem::bad_request(format!("the body is not as documented: {error}")))
    }
}

/// A query string; what is wrong with it is said as a problem.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: serde::de::DeserializeOwned> FromRequestParts<Arc<Shared>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, shared).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::bad_request(rejection.body_text())),
        }
    }
}

/// Whether a text is method and path of an endpoint that changes something.
pub(crate) fn known_endpoint(action: &str) -> bool {
    action
        .split_once(' ')
        .is_some_and(|(method, path)| method != "GET" && endpoints::right(method, path).is_some())
}

/// A page's size: 1 to 200, 50 unless asked otherwise.
pub(crate) fn page_size(limit: Option<i64>) -> Result<i64, Problem> {
    match limit.unwrap_or(50) {
        limit @ 1..=200 => Ok(limit),
        _ => Err(Problem::invalid("limit must be 1 to 200")),
    }
}

/// Longest text that people write for people, in bytes.
const TEXT_BYTES: usize = 200;

/// A text of people for people, bounded.
pub(crate) fn short(text: String, what: &str) -> Result<String, Problem> {
    if text.len() > TEXT_BYTES || text.chars().any(char::is_control) {
        return Err(Problem::field(
            what,
            format!("must be at most {TEXT_BYTES} bytes without control characters"),
        ));
    }
    Ok(text)
}

/// A cursor is ours to read: anything else is a clear error.
pub(crate) fn decode_cursor(cursor: &str) -> Result<String, Problem> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Problem::bad_request("the cursor is not one that a page gave"))
}
