//! `/metrics` on an address of its own: it asks for no token, so it does not stand beside the API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::timeout::TimeoutLayer;

use crate::{Shared, StartError};

/// Longest handling of one scrape.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes the address, where one is set.
pub(crate) async fn bind(address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|e| StartError::MetricsListen(address, e))?;
    Ok(Some(listener))
}

/// Serves until the shutdown.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener, mut shutdown: watch::Receiver<bool>) {
    let app = Router::new()
        .route("/metrics", get(metrics))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, SCRAPE_TIMEOUT))
        .with_state(shared);
    let served = axum::serve(listener, app).with_graceful_shutdown(async move {
        // An error means that the sender is gone: that is a shutdown too.
        let _ = shutdown.wait_for(|stop| *stop).await;
    });
    if let Err(error) = served.await {
        tracing::error!(%error, "the metrics are not served any more");
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared.metrics.text(&shared).await)
}
