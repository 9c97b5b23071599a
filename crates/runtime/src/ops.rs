//! What operators and orchestrators ask a program over HTTP: is it alive, can
//! it do its work, and what has it counted.

mod conversation;
mod patience;
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
use utoipa::OpenApi;

pub use readiness::{CheckHandle, CheckReport, Readiness, ReadinessReport};
pub use serve::{serve, serve_until};

use crate::problem::Problem;

/// `/livez`, `/readyz` and `/metrics`.
///
/// Liveness asks nothing of anybody: a program whose broker is away must not
/// be restarted for it.
pub fn router(registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(alive))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(metrics).with_state(registry))
}

/// Answers what no route of `router` takes with problem documents. `hint` says
/// what there is instead.
pub fn refuse_the_rest(router: Router, hint: &'static str) -> Router {
    let refuse = move |status, name, title| async move { Problem::new(status, name, title, hint) };
    router
        .fallback(move || refuse(StatusCode::NOT_FOUND, "not-found", "There is nothing here"))
        .method_not_allowed_fallback(move || {
            let title = "The method is not supported here";
            refuse(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title)
        })
}

/// What [`router`] takes and answers.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(alive, ready, metrics))]
    struct Document;
    Document::openapi()
}

/// Is the program alive? Asks nothing of anybody
#[utoipa::path(
    get,
    path = "/livez",
    tag = "operators",
    responses((status = 200, description = "It is", body = String, content_type = "text/plain"))
)]
async fn alive() -> &'static str {
    "ok\n"
}

/// Can the program do its work right now?
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operators",
    responses(
        (status = 200, description = "It can", body = ReadinessReport),
        (status = 503, description = "It can't: the checks say why", body = ReadinessReport),
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

/// What the program has counted, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operators",
    responses((status = 200, description = "In the text format", body = String, content_type = "text/plain"))
)]
async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, TEXT)], crate::metrics::render(&registry))
}

#[cfg(test)]
mod tests;
