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
    /// The approval that the request waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) approval: Option<uuid::Uuid>,
}

/// One field of a request that is not valid.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Path of the field in the body, such as `limits.statement_timeout_ms`.
    pub(crate) field: String,
    /// What is wrong with it, as a sentence.
    pub(crate) detail: String,
}

/// A kind of problem: what its type stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The type, such as `/problems/slug-taken`: stable.
    pub(crate) kind: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    /// What it means and what to do.
    pub(crate) meaning: &'static str,
}

macro_rules! problems {
    ($($name:ident, $status:ident, $kind:literal, $title:literal, $meaning:literal;)*) => {
        /// Every kind of problem.
        pub(crate) const KINDS: &[Kind] = &[
            $(Kind { kind: $kind, status: StatusCode::$status.as_u16(), title: $title, meaning: $meaning }),*
        ];
        impl Problem {
            $(
                #[doc = $meaning]
                pub(crate) fn $name(detail: impl Into<String>) -> Self {
                    let (status, detail) = (StatusCode::$status.as_u16(), detail.into());
                    Self { kind: $kind, title: $title, status, detail, errors: Vec::new(), approval: None }
                }
            )*
        }
    };
}

problems! {
    bad_request, BAD_REQUEST, "/problems/bad-request", "The request is not understood",
        "The body is not JSON of the documented shape, or a parameter cannot be read. The detail says where.";
    unauthorized, UNAUTHORIZED, "/problems/unauthorized", "A valid token is needed",
        "There is no token or session, or it is not valid. The detail says why; nothing of the token is repeated.";
    forbidden, FORBIDDEN, "/problems/forbidden", "The token does not allow this",
        "The caller's roles have no right to this endpoint, or its tenants are others.";
    csrf, FORBIDDEN, "/problems/csrf", "The request does not prove that it is the UI's",
        "A request with a session cookie that changes something must bring the session's X-CSRF-Token, and come from the control plane's own pages.";
    second_person, FORBIDDEN, "/problems/second-person", "A second person must approve this",
        "The action is set to need two people. The detail names the approval; when somebody else has approved it, send the request again with X-Approval.";
    not_found, NOT_FOUND, "/problems/not-found", "There is no such thing",
        "No tenant, operation, migration or endpoint has this name, or the caller's tenants are others.";
    method_not_allowed, METHOD_NOT_ALLOWED, "/problems/method-not-allowed", "The endpoint has no such method",
        "The OpenAPI document lists the methods.";
    conflict, CONFLICT, "/problems/conflict", "The state does not allow this",
        "The thing is in a state in which this cannot be done, or was changed meanwhile. Read it again.";
    slug_taken, CONFLICT, "/problems/slug-taken", "The slug is taken",
        "Another tenant has this slug, also when both were asked for at the same moment. Choose another; GET /api/v1/slugs/{slug} suggests one.";
    not_cancellable, CONFLICT, "/problems/not-cancellable", "The operation cannot be cancelled",
        "It has ended, or is of a kind or at a step that is not cancelled.";
    quota_reached, CONFLICT, "/problems/quota-reached", "The plan has all the tenants that it may have",
        "The plan's max_tenants is reached. Choose another plan, or raise it with PUT /api/v1/plans/{name}.";
    idempotency_in_flight, CONFLICT, "/problems/idempotency-in-flight", "The first request is under way",
        "A request with this Idempotency-Key has begun and not ended. Ask again in a moment: the answer will be the first one's.";
    stale, PRECONDITION_FAILED, "/problems/stale", "It was changed meanwhile",
        "If-Match names another generation than the thing has now. Read it again and repeat the change.";
    too_large, PAYLOAD_TOO_LARGE, "/problems/too-large", "The request is too large",
        "The body is longer than the endpoint takes; docs/configuration.md lists the limits.";
    invalid, UNPROCESSABLE_ENTITY, "/problems/invalid", "A value is not valid",
        "The list errors names each field and what is wrong with it.";
    slug_invalid, UNPROCESSABLE_ENTITY, "/problems/slug-invalid", "The slug breaks the rules for slugs",
        "1 to 48 characters: lower-case letters, digits and single hyphens, starting with a letter, not ending with a hyphen.";
    slug_reserved, UNPROCESSABLE_ENTITY, "/problems/slug-reserved", "The slug is reserved",
        "The word means one of PostgreSQL's or Palisade's own databases: postgres, template0, template1, palisade, pgbouncer, admin, replication.";
    unknown_template, UNPROCESSABLE_ENTITY, "/problems/unknown-template", "There is no such template",
        "GET /api/v1/templates lists the templates and their versions.";
    unknown_plan, UNPROCESSABLE_ENTITY, "/problems/unknown-plan", "There is no such plan",
        "GET /api/v1/plans lists the plans.";
    idempotency_reused, UNPROCESSABLE_ENTITY, "/problems/idempotency-reused", "The Idempotency-Key was used for another request",
        "A key stands for one method, path and body. Use a new key for a new request.";
    rate_limited, TOO_MANY_REQUESTS, "/problems/rate-limited", "Too many requests",
        "The caller or its address asks faster than it may. Retry-After says how long to wait.";
    internal_error, INTERNAL_SERVER_ERROR, "/problems/internal", "It failed",
        "A failure of the control plane or of PostgreSQL. What was begun is undone; the operation says what happened.";
    cluster_down, SERVICE_UNAVAILABLE, "/problems/cluster-down", "The cluster does not answer",
        "PostgreSQL is away, starts or stops. Nothing was changed, or what was begun will be undone. Try again; Retry-After says when.";
    unavailable, SERVICE_UNAVAILABLE, "/problems/unavailable", "The control plane is busy",
        "Too many streams are open, or a task waits for its place. Try again later.";
    timeout, GATEWAY_TIMEOUT, "/problems/timeout", "It took too long",
        "The request was given up after its time. What was begun is finished or undone; the operation says which.";
    cluster_full, INSUFFICIENT_STORAGE, "/problems/cluster-full", "The cluster has no room",
        "It holds max_tenants tenants, or PostgreSQL has no disk space or connections left. Purge deleted tenants, raise the limit or add room.";
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

    /// The same, about one field of the request.
    pub(crate) fn about(mut self, field: &str) -> Self {
        self.errors.push(FieldError { field: field.to_owned(), detail: self.detail.clone() });
        self
    }

    /// A slug that cannot be one.
    pub(crate) fn slug(error: &palisade_catalog::ids::IdError) -> Self {
        match error {
            palisade_catalog::ids::IdError::ReservedSlug(_) => Self::slug_reserved(error.to_string()),
            _ => Self::slug_invalid(error.to_string()),
        }
        .about("slug")
    }

    /// A failure of our own, logged.
    pub(crate) fn internal(detail: String) -> Self {
        tracing::error!(%detail, "a request failed");
        Self::internal_error(detail)
    }
}

/// How long a caller waits before it tries again, in seconds, where waiting helps.
const RETRY_SECONDS: &str = "2";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem is plain fields: it always has a JSON form.
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let (name, value) = match status {
            StatusCode::UNAUTHORIZED => (header::WWW_AUTHENTICATE, "Bearer"),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                (header::RETRY_AFTER, RETRY_SECONDS)
            }
            _ => return response,
        };
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
        response
    }
}

impl From<deadpool_postgres::PoolError> for Problem {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        tracing::warn!(%error, "no connection to the database");
        Self::cluster_down("the control plane has no connection to its database; try again")
    }
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        let detail = crate::provision::describe(&error);
        match error.code().map(|code| code.code()) {
            // The connection was cut: PostgreSQL stops, starts or was killed.
            None if error.is_closed() || error.to_string().contains("communicating") => {
                Self::cluster_down("the connection to the database was lost; try again")
            }
            // A NUL and its like: PostgreSQL keeps no such text, so nothing has such a name either.
            Some("22021" | "22P05") => Self::bad_request("a text holds a character that cannot be kept"),
            Some("57P01" | "57P02" | "57P03") => Self::cluster_down(detail),
            Some("53100" | "53200" | "53300") => Self::cluster_full(detail),
            _ => Self::internal(detail),
        }
    }
}

impl From<palisade_catalog::ids::IdError> for Problem {
    fn from(error: palisade_catalog::ids::IdError) -> Self {
        Self::invalid(error.to_string())
    }
}

/// The page of one kind of problem: where its type leads.
pub(crate) async fn explain(axum::extract::Path(name): axum::extract::Path<String>) -> Response {
    let wanted = format!("/problems/{name}");
    match KINDS.iter().find(|kind| kind.kind == wanted) {
        Some(kind) => {
            format!("{} ({})\n\n{}\n{}\n", kind.title, kind.status, kind.kind, kind.meaning).into_response()
        }
        None => Problem::not_found("there is no such problem type").into_response(),
    }
}

/// Turns an answer that the layers gave without a problem (too large, too late, a panic) into one.
pub(crate) async fn uniform(response: Response) -> Response {
    let json = response.headers().get(header::CONTENT_TYPE);
    let json = json.is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
    match response.status() {
        _ if json => response,
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large("the body is too long").into_response(),
        StatusCode::GATEWAY_TIMEOUT => Problem::timeout("the request took too long").into_response(),
        StatusCode::INTERNAL_SERVER_ERROR => Problem::internal_error("a handler failed").into_response(),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list for people.
    fn page() -> String {
        let mut text = String::from(
            "# Problem types\n\nEvery error of the API is a problem (RFC 9457, `application/problem+json`). Programs look at `type`: it is stable, and leads to \
             a page of the control plane. `detail` is for people; `errors` names fields.\n\n| type | status | title | meaning |\n|---|---|---|---|\n",
        );
        for kind in KINDS {
            text.push_str(&format!(
                "| `{}` | {} | {} | {} |\n",
                kind.kind, kind.status, kind.title, kind.meaning
            ));
        }
        text
    }

    #[test]
    fn the_documented_problems_are_the_real_ones() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api/problems.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, page()).unwrap();
        }
        let committed = std::fs::read_to_string(file).unwrap_or_default();
        assert!(page() == committed, "run this test with UPDATE_GOLDEN=1 and review the difference");
        let names: std::collections::BTreeSet<_> = KINDS.iter().map(|kind| kind.kind).collect();
        assert_eq!(names.len(), KINDS.len());
    }
}
