//! What operators and orchestrators ask a program over HTTP: is it alive, can
//! it do its work, and what has it counted.

mod readiness;
mod serve;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use prometheus::Registry;

pub use readiness::{CheckHandle, CheckReport, Readiness, ReadinessReport};
pub use serve::{serve, serve_until};

/// `/livez`, `/readyz` and `/metrics`.
///
/// Liveness asks nothing of anybody: a program whose broker is away must not
/// be restarted for it.
pub fn router(registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let report = readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report))
}

async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, TEXT)], crate::metrics::render(&registry))
}

#[cfg(test)]
mod tests;
