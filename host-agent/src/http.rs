//! `/metrics`, `/healthz`, `/readyz`.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::gate::Gate;
use crate::metrics::Metrics;

#[derive(Clone)]
struct Pages {
    metrics: Arc<Metrics>,
    gate: Arc<Gate>,
}

/// Serves until `shutdown` completes.
///
/// # Errors
/// The socket fails.
pub(crate) async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    gate: Arc<Gate>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(page))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(Pages { metrics, gate });
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
}

async fn page(State(pages): State<Pages>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, pages.metrics.page())
}

async fn health(State(pages): State<Pages>) -> impl IntoResponse {
    if pages.gate.alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the agent's loop is stuck\n",
        )
    }
}

async fn ready(State(pages): State<Pages>) -> impl IntoResponse {
    let missing = pages.gate.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", missing.join("\n")),
        )
    }
}
