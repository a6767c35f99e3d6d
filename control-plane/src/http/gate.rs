//! What every request below `/api/v1` goes through before its handler: who asks, whether it may, whether the request
//! was made before. A handler that was reached without it finds no caller and refuses.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::Shared;
use crate::http::auth;
use crate::http::idempotency;
use crate::http::problem::Problem;

/// Lets a request through to its handler, or answers it.
pub(crate) async fn gate(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned()).unwrap_or_default();
    let route = path.strip_prefix("/api/v1").unwrap_or(&path).to_owned();
    let caller = auth::admit(&shared, &mut request, &route).await?;
    let subject = caller.subject.clone();
    request.extensions_mut().insert(caller);
    idempotency::once(shared, &subject, request, next).await
}
