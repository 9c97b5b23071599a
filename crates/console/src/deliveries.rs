//! `/deliveries`: search, and one delivery.

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;
use wahook_domain::{EndpointName, EventId};
use wahook_runtime::{
    clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    failure::Failure,
    log::Log,
    query::{DeliveryQuery, PageQuery, list_query},
    refusals::Reading,
    shape::{Delivery, Detail},
};

/// State of the handlers.
#[derive(Clone)]
pub(crate) struct Deliveries {
    pub(crate) log: Log,
    pub(crate) shows_payloads: bool,
}

/// Part of the deliveries that match, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    deliveries: Vec<Delivery>,
    /// `cursor` of the next part; null in the last one
    next: Option<String>,
}

/// Search deliveries, newest first
///
/// A page stays complete while new deliveries arrive.
#[utoipa::path(
    get,
    path = "/api/v1/deliveries",
    tag = "deliveries",
    security(("bearer" = []), ("cookie" = [])),
    params(DeliveryQuery, PageQuery),
    responses(
        (status = 200, description = "Deliveries that match", body = DeliveryList),
        (status = 400, description = "Unknown or invalid query", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log is unavailable, or the search took too long", body = Problem, content_type = MEDIA_TYPE),
        Reading,
    )
)]
pub(crate) async fn list(
    State(state): State<Deliveries>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<DeliveryList>, Failure> {
    let (filter, page) = list_query(query?.0)?;
    let filter = filter.filter(clock::now())?;
    let (cursor, limit) = page.read()?;
    let page = state.log.search(filter, cursor, limit).await?;
    Ok(Json(DeliveryList {
        deliveries: page.deliveries.into_iter().map(Delivery::from).collect(),
        next: page.next.map(|cursor| cursor.to_string()),
    }))
}

/// Show a delivery, with its content and all attempts
#[utoipa::path(
    get,
    path = "/api/v1/deliveries/{eventId}/{endpoint}",
    tag = "deliveries",
    security(("bearer" = []), ("cookie" = [])),
    params(
        ("eventId" = String, Path, description = "Id of the event"),
        ("endpoint" = String, Path, description = "Name of the endpoint"),
    ),
    responses(
        (status = 200, description = "The delivery", body = Detail),
        (status = 400, description = "Invalid characters in the path", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "The log has no such delivery", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log is unavailable, or too many of these answers are being sent", body = Problem, content_type = MEDIA_TYPE),
        Reading,
    )
)]
pub(crate) async fn show(
    State(state): State<Deliveries>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Detail>, Failure> {
    let Path((id, endpoint)) = path?;
    let id = EventId::parse(&id).map_err(|_| not_found())?;
    let endpoint = EndpointName::parse(&endpoint).map_err(|_| not_found())?;
    let logged = state.log.delivery(id, endpoint).await?;
    let logged = logged.ok_or_else(not_found)?;
    Ok(Json(Detail::of(logged, state.shows_payloads)))
}

pub(crate) fn not_found() -> Failure {
    let title = "There is no such delivery";
    let detail = "the log has no attempt of this event for this endpoint yet, or no longer";
    Failure::new(StatusCode::NOT_FOUND, "no-delivery", title, detail)
}
