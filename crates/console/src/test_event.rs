//! `/test-event`: an event to try the way to a webhook.

use axum::{
    Extension, Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;
use wahook_domain::{EndpointName, EventId, EventName, Ingest, QueuedEvent, Validation, ingest};
use wahook_operator_state::SharedOperatorState;
use wahook_queue::{Outgoing, PublishError, Publisher};
use wahook_runtime::{
    clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    audit::{self, Operator},
    failure::Failure,
    query::given,
    refusals::Acting,
};

/// Name of a test event by default.
const DEFAULT_EVENT: &str = "test";

/// State of the handler.
#[derive(Clone)]
pub(crate) struct TestEvents {
    pub(crate) publisher: Publisher,
    pub(crate) operator: SharedOperatorState,
}

/// Test event to send.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TestEvent {
    /// Name of the event, `test` by default
    event: Option<String>,
    /// Only this endpoint, whatever events it wants; by default all that want the event
    endpoint: Option<String>,
}

/// Test event that was sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sent {
    event_id: String,
}

/// Send a test event
///
/// Its data is `{"test": true}`.
#[utoipa::path(
    post,
    path = "/api/v1/test-event",
    tag = "deliveries",
    security(("bearer" = []), ("cookie" = [])),
    request_body = TestEvent,
    responses(
        (status = 202, description = "The broker has the event", body = Sent),
        (status = 400, description = "Not JSON, or an invalid name", body = Problem, content_type = MEDIA_TYPE),
        (status = 409, description = "No endpoint wants the event, or the endpoint has no queue", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The broker or the log's database is unavailable", body = Problem, content_type = MEDIA_TYPE),
        Acting,
    )
)]
pub(crate) async fn post(
    State(state): State<TestEvents>,
    Extension(operator): Extension<Operator>,
    body: Result<Json<TestEvent>, JsonRejection>,
) -> Result<(StatusCode, Json<Sent>), Failure> {
    let Json(TestEvent { event, endpoint }) = body?;
    let name = given(event).unwrap_or_else(|| DEFAULT_EVENT.to_owned());
    let name = EventName::parse(&name).map_err(|error| Failure::invalid(error.to_string()))?;
    let endpoint = given(endpoint).map(|name| EndpointName::parse(&name));
    let endpoint = endpoint.transpose();
    let endpoint = endpoint.map_err(|error| Failure::invalid(error.to_string()))?;
    let event = test_event(&name)?;
    let message = match &endpoint {
        Some(endpoint) => Outgoing::republish(&event, endpoint),
        None => Outgoing::event(&event),
    };
    let count = (1, event.accepted_at);
    audit::record(
        &state.operator,
        &operator,
        "test-event",
        event.id.to_string(),
        count,
    )
    .await?;
    match state.publisher.publish(message).await {
        Ok(()) => {}
        Err(PublishError::Unroutable) => return Err(unwanted(endpoint.is_some())),
        Err(error) => return Err(Failure::broker(error)),
    }
    let event_id = event.id.to_string();
    Ok((StatusCode::ACCEPTED, Json(Sent { event_id })))
}

/// Creates a test event, as a gateway would send it.
fn test_event(name: &EventName) -> Result<QueuedEvent, Failure> {
    let raw = json!({ "event": name, "data": { "test": true } }).to_string();
    let now = clock::now();
    let context = Ingest {
        validation: Validation::Lenient,
        now,
        idempotency_key: None,
    };
    let accepted = ingest(raw.as_bytes(), context, || EventId::from(Uuid::now_v7()));
    let accepted = accepted.map_err(|error| Failure::invalid(error.to_string()))?;
    Ok(QueuedEvent::new(
        accepted.id,
        accepted.name,
        accepted.body,
        now,
    ))
}

fn unwanted(is_for_one: bool) -> Failure {
    let detail = if is_for_one {
        "the endpoint has no queue: start a consumer with its settings first"
    } else {
        "no endpoint wants events of this name: name an endpoint, or use the name of an event \
         that it wants"
    };
    let title = "The event is not delivered";
    Failure::new(StatusCode::CONFLICT, "unwanted", title, detail)
}
