//! Errors as RFC 9457 problem details.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// One error for the caller. The detail says what to do and never holds a secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    /// Stable: what programs look at.
    pub(crate) kind: &'static str,
    pub(crate) title: &'static str,
    pub(crate) status: u16,
    pub(crate) detail: String,
    /// What is wrong with which field of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldError>,
}

/// One field of a request that is not valid.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Path of the field in the body, such as `limits.statement_timeout_ms`.
    pub(crate) field: String,
    /// What is wrong with it, as a sentence.
    pub(crate) detail: String,
}

macro_rules! problems {
    ($($name:ident, $status:expr, $kind:literal, $title:literal;)*) => {
        impl Problem {
            $(
                pub(crate) fn $name(detail: impl Into<String>) -> Self {
                    let (status, detail) = ($status.as_u16(), detail.into());
                    Self { kind: $kind, title: $title, status, detail, errors: Vec::new() }
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
    stale, StatusCode::PRECONDITION_FAILED, "/problems/stale", "It was changed meanwhile";
    invalid, StatusCode::UNPROCESSABLE_ENTITY, "/problems/invalid", "A value is not valid";
    internal_error, StatusCode::INTERNAL_SERVER_ERROR, "/problems/internal", "It failed";
    unavailable, StatusCode::SERVICE_UNAVAILABLE, "/problems/unavailable", "The database is away";
}

impl Problem {
    /// One field is not valid.
    pub(crate) fn field(field: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::invalid(format!("{field}: {detail}"));
        problem.errors.push(FieldError { field: field.to_owned(), detail });
        problem
    }

    /// Nothing where no field is wrong, else one problem that names them all.
    pub(crate) fn fields(errors: impl IntoIterator<Item = (String, String)>) -> Result<(), Self> {
        let errors: Vec<_> = errors.into_iter().map(|(field, detail)| FieldError { field, detail }).collect();
        let Some(first) = errors.first() else { return Ok(()) };
        let mut problem = Self::invalid(format!("{}: {}", first.field, first.detail));
        problem.errors = errors;
        Err(problem)
    }

    /// A failure of our own, logged.
    pub(crate) fn internal(detail: String) -> Self {
        tracing::error!(%detail, "a request failed");
        Self::internal_error(detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem is plain fields: it always has a JSON form.
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
