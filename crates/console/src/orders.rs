//! `POST /endpoints/{name}/…`: pause, resume and probe of an endpoint.

use axum::{
    Extension, Json,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::StatusCode,
};
use serde::Deserialize;
use utoipa::ToSchema;
use wahook_domain::EndpointName;
use wahook_operator_state::{Order, PauseReason, Request};
use wahook_runtime::{
    clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    audit::Operator,
    endpoints::{EndpointShape, Endpoints},
    failure::Failure,
    refusals::Acting,
};

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PauseOrder {
    /// Reason, for other operators: one line of at most 500 characters
    reason: Option<String>,
}

/// Pause an endpoint
///
/// Within 2 s no consumer starts an attempt. Events wait in the queue. The pause survives
/// restarts.
#[utoipa::path(
    post,
    path = "/api/v1/endpoints/{name}/pause",
    tag = "endpoints",
    security(("bearer" = []), ("cookie" = [])),
    params(("name" = String, Path, description = "Name of the endpoint")),
    request_body = PauseOrder,
    responses(
        (status = 200, description = "The endpoint is paused", body = EndpointShape),
        (status = 400, description = "Not JSON, or an invalid reason", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "No such endpoint", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log's database is unavailable", body = Problem, content_type = MEDIA_TYPE),
        Acting,
    )
)]
pub(crate) async fn pause(
    State(state): State<Endpoints>,
    name: Result<Path<String>, PathRejection>,
    Extension(operator): Extension<Operator>,
    body: Result<Json<PauseOrder>, JsonRejection>,
) -> Result<Json<EndpointShape>, Failure> {
    let Json(PauseOrder { reason }) = body?;
    let reason = reason.filter(|reason| !reason.is_empty());
    let reason = reason.map(|text| PauseReason::parse(&text)).transpose();
    let reason = reason.map_err(|error| Failure::invalid(error.to_string()))?;
    order(&state, &name?, operator, Request::Pause { reason }).await
}

/// Resume a paused endpoint
#[utoipa::path(
    post,
    path = "/api/v1/endpoints/{name}/resume",
    tag = "endpoints",
    security(("bearer" = []), ("cookie" = [])),
    params(("name" = String, Path, description = "Name of the endpoint")),
    request_body(content = Object, description = "`{}`"),
    responses(
        (status = 200, description = "The endpoint is not paused by an operator", body = EndpointShape),
        (status = 400, description = "Invalid characters in the path", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "No such endpoint", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log's database is unavailable", body = Problem, content_type = MEDIA_TYPE),
        Acting,
    )
)]
pub(crate) async fn resume(
    State(state): State<Endpoints>,
    name: Result<Path<String>, PathRejection>,
    Extension(operator): Extension<Operator>,
) -> Result<Json<EndpointShape>, Failure> {
    order(&state, &name?, operator, Request::Resume).await
}

/// Probe an endpoint that the circuit breaker has paused
#[utoipa::path(
    post,
    path = "/api/v1/endpoints/{name}/probe",
    tag = "endpoints",
    security(("bearer" = []), ("cookie" = [])),
    params(("name" = String, Path, description = "Name of the endpoint")),
    request_body(content = Object, description = "`{}`"),
    responses(
        (status = 202, description = "Consumers probe the endpoint within 2 s", body = EndpointShape),
        (status = 400, description = "Invalid characters in the path", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "No such endpoint", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log's database is unavailable", body = Problem, content_type = MEDIA_TYPE),
        Acting,
    )
)]
pub(crate) async fn probe(
    State(state): State<Endpoints>,
    name: Result<Path<String>, PathRejection>,
    Extension(operator): Extension<Operator>,
) -> Result<(StatusCode, Json<EndpointShape>), Failure> {
    let endpoint = order(&state, &name?, operator, Request::Probe).await?;
    Ok((StatusCode::ACCEPTED, endpoint))
}

/// Gives an order, and returns the endpoint after it.
async fn order(
    state: &Endpoints,
    name: &str,
    operator: Operator,
    request: Request,
) -> Result<Json<EndpointShape>, Failure> {
    let endpoint = EndpointName::parse(name).map_err(|_| unknown())?;
    if !state.knows(&endpoint).await? {
        return Err(unknown());
    }
    tracing::info!(who = operator.0, action = request.name(), subject = %endpoint, count = 1, "console: action of an operator");
    let order = Order {
        endpoint: endpoint.clone(),
        request,
        by: operator.0,
        at: clock::now(),
    };
    let ordered = state.operator.order(&order).await;
    ordered.map_err(|error| Failure::log(&error))?;
    let endpoint = state.read_one(endpoint).await?;
    endpoint.map(Json).ok_or_else(unknown)
}

fn unknown() -> Failure {
    let title = "There is no such endpoint";
    let detail = "GET /api/v1/endpoints lists the known ones";
    Failure::new(StatusCode::NOT_FOUND, "no-endpoint", title, detail)
}
