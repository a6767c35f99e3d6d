//! What every request below `/api/v1` goes through before its handler: who asks, whether it may and how often, whether
//! a second person must approve, whether the request was made before. A handler that was reached without it finds no caller and refuses.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::Shared;
use crate::http::approvals;
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
    let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let (caller, scope) = auth::admit(&shared, (&method, &route), &headers, from).await?;
    if !shared.rates.asked(&caller.subject) {
        return Err(Problem::rate_limited(format!(
            "more than {} requests a second",
            shared.config.requests_per_second
        )));
    }
    if caller.tenants.is_some() {
        let (mut parts, body) = request.into_parts();
        let thing = RawPathParams::from_request_parts(&mut parts, &shared).await;
        let thing = thing.map_err(|_| Problem::bad_request("the path cannot be read"))?;
        let thing = thing.iter().find(|(name, _)| *name == "id").map(|(_, value)| value.to_owned());
        auth::within(&shared, &caller, scope, &thing.unwrap_or_default()).await?;
        request = Request::from_parts(parts, body);
    }
    let mut request = approvals::pass(&shared, &caller, &route, request).await?;
    let subject = caller.subject.clone();
    request.extensions_mut().insert(caller);
    idempotency::once(shared, &subject, request, next).await
}
