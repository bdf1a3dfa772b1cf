//! `/metrics`, `/healthz`, `/readyz`.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::View;
use crate::driver::Command;
use crate::metrics::Metrics;
use crate::service;

/// How long a scrape waits for the device's drop counters before it goes without.
const SCRAPE: Duration = Duration::from_secs(1);

/// What the pages look at.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    pub(crate) view: watch::Receiver<View>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) metrics: Metrics,
}

pub(crate) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .with_state(pages)
}

async fn metrics(State(pages): State<Pages>) -> Response {
    let drops = pages.drops().await;
    let view = pages.view.borrow().clone();
    match pages.metrics.render(&view, &drops) {
        Ok(text) => {
            let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
            (kind, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The driver's task lives: it is what everything else waits for.
async fn health(State(pages): State<Pages>) -> Response {
    if pages.commands.is_closed() {
        (StatusCode::SERVICE_UNAVAILABLE, "The driver has ended\n").into_response()
    } else {
        "ok\n".into_response()
    }
}

async fn ready(State(pages): State<Pages>) -> Response {
    match pages.view.borrow().not_ready() {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

impl Pages {
    async fn drops(&self) -> Vec<(&'static str, u64)> {
        let (reply, answer) = oneshot::channel();
        // A driver that is busy or a device that is away must not hold a scrape up.
        if self
            .commands
            .try_send(Command::DropCounters(reply))
            .is_err()
        {
            return Vec::new();
        }
        let Ok(Ok(Ok(counters))) = timeout(SCRAPE, answer).await else {
            return Vec::new();
        };
        (0..)
            .zip(counters)
            .map(|(code, value)| (service::reason(code), value.packets))
            .filter(|(reason, _)| !reason.is_empty())
            .collect()
    }
}
