//! Errors as RFC 9457 problem details.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// One error for the caller. The detail says what to do and never holds a secret.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) title: &'static str,
    pub(crate) status: u16,
    pub(crate) detail: String,
}

macro_rules! problems {
    ($($name:ident, $status:expr, $kind:literal, $title:literal;)*) => {
        impl Problem {
            $(
                pub(crate) fn $name(detail: impl Into<String>) -> Self {
                    Self { kind: $kind, title: $title, status: $status.as_u16(), detail: detail.into() }
                }
            )*
        }
    };
}

problems! {
    bad_request, StatusCode::BAD_REQUEST, "/problems/bad-request", "The request is not understood";
    unauthorized, StatusCode::UNAUTHORIZED, "/problems/unauthorized", "A valid token is needed";
    forbidden, StatusCode::FORBIDDEN, "/problems/forbidden", "The token does not allow this";
    not_found, StatusCode::NOT_FOUND, "/problems/not-found", "There is no such thing";
    conflict, StatusCode::CONFLICT, "/problems/conflict", "The state does not allow this";
    invalid, StatusCode::UNPROCESSABLE_ENTITY, "/problems/invalid", "A value is not valid";
    internal_error, StatusCode::INTERNAL_SERVER_ERROR, "/problems/internal", "It failed";
    unavailable, StatusCode::SERVICE_UNAVAILABLE, "/problems/unavailable", "The database is away";
}

impl Problem {
    /// A failure of our own, logged.
    pub(crate) fn internal(detail: String) -> Self {
        tracing::error!(%detail, "a request failed");
        Self::internal_error(detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem is four plain fields: it always has a JSON form.
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<deadpool_postgres::PoolError> for Problem {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        tracing::warn!(%error, "no connection to the database");
        Self::unavailable("the control plane has no connection to its database; try again")
    }
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::internal(crate::provision::describe(&error))
    }
}

impl From<palisade_catalog::ids::IdError> for Problem {
    fn from(error: palisade_catalog::ids::IdError) -> Self {
        Self::invalid(error.to_string())
    }
}
