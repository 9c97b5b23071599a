//! HTTP endpoints for operators and orchestrators: liveness, readiness and metrics.

mod activity;
mod answer;
mod connection;
mod connections;
mod framing;
mod readiness;
mod refusals;
mod serve;
mod served;
mod write_timeout;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::Registry;
use utoipa::OpenApi;

pub use readiness::{CheckHandle, CheckReport, Readiness, ReadinessReport};
pub use refusals::{Refusal, RefusalLog};
pub use serve::{serve, serve_metrics, serve_until};
pub use served::{Peer, Served};

use crate::{guard::Guard, problem::Problem};

/// Creates the routes `/livez`, `/readyz` and `/metrics`.
///
/// Liveness depends on nothing else: a program must not be restarted because its
/// broker is unreachable.
pub fn router(registry: Registry, readiness: Readiness) -> Router {
    health_router(readiness).route("/metrics", get(metrics).with_state(registry))
}

/// Creates the routes `/livez` and `/readyz`.
pub fn health_router(readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(alive))
        .route("/readyz", get(ready).with_state(readiness))
}

/// Answers 403 on all routes so far to requests that web pages of other hosts send.
pub fn guarded(router: Router, guard: Guard) -> Router {
    router.layer(middleware::from_fn_with_state(guard, only_own_page))
}

async fn only_own_page(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    guard.admit(request.headers())?;
    Ok(next.run(request).await)
}

/// Answers unknown paths and methods with problem documents. `hint` names what the
/// router offers.
pub fn refuse_the_rest(router: Router, hint: &'static str) -> Router {
    let refuse = move |status, name, title| async move { Problem::new(status, name, title, hint) };
    router
        .fallback(move || refuse(StatusCode::NOT_FOUND, "not-found", "Unknown path"))
        .method_not_allowed_fallback(move || {
            let title = "The path does not support this method";
            refuse(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title)
        })
}

/// Returns the OpenAPI document of [`router`].
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(alive, ready, metrics))]
    struct Document;
    Document::openapi()
}

/// Returns the OpenAPI document of [`health_router`].
#[must_use]
pub fn health_openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(alive, ready))]
    struct Document;
    Document::openapi()
}

/// Liveness: independent of all other programs
#[utoipa::path(
    get,
    path = "/livez",
    tag = "operators",
    responses((status = 200, description = "The program is alive", body = String, content_type = "text/plain"))
)]
async fn alive() -> &'static str {
    "ok\n"
}

/// Readiness: the program can do its work now
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operators",
    responses(
        (status = 200, description = "Ready", body = ReadinessReport),
        (status = 503, description = "Not ready: see the failing checks", body = ReadinessReport),
    )
)]
async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let report = readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report))
}

/// Metrics for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operators",
    responses((status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"))
)]
async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, TEXT)], crate::metrics::render(&registry))
}

#[cfg(test)]
mod tests;
