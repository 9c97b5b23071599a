//! `POST /v1/events`: accepts one event or a batch, and answers after the
//! broker's confirm.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, BodyDataStream},
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, SchemaType, Type},
};
use wahook_runtime::{metrics::InFlightGuard, problem::MEDIA_TYPE};

use crate::{
    body,
    event_service::{Accepted, EventService},
    headers::{Encoding, EventHeaders, Format, idempotency_key},
    problem::Problem,
};

/// Limit of requests in flight; further ones are answered 503.
pub(crate) const MAX_IN_FLIGHT: usize = 1024;
/// Limit of those whose sender is only known once the body is read. Clients without a secret
/// leave the rest to senders with a token.
pub(crate) const MAX_UNVERIFIED: usize = MAX_IN_FLIGHT / 4 * 3;

/// Send an event, or a batch
///
/// The answer follows the broker's confirm of the event. A batch is answered
/// line by line, in order, each line with its own `status`. With a token, a
/// body without a media type is read as one event.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "gateways",
    security(("bearer" = [])),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Id of the event; a key that is no id (`[A-Za-z0-9_-]{1,128}`) is hashed to one. By default it is derived from the body of an event with a `timestamp`, and new for any other event. Not for batches", pattern = "^[!-~]{1,255}$"),
        ("X-Webhook-Key" = Option<String>, Header, description = "Order key of the event, or of all events of the batch; by default the chat that an event names", pattern = "^[!-~]{1,256}$"),
        ("traceparent" = Option<String>, Header, description = "W3C Trace Context, passed on; other values are ignored"),
        ("tracestate" = Option<String>, Header, description = "W3C Trace Context, passed on with a valid `traceparent`: at most 512 characters and 32 members"),
        ("baggage" = Option<String>, Header, description = "W3C Baggage, passed on: at most 2,048 bytes and 64 members"),
    ),
    request_body(
        content((Event = "application/json"), (String = "application/x-ndjson")),
        description = "An event, or one event a line, plain or with `Content-Encoding: gzip`, of at most PRODUCER_MAX_BODY_BYTES (also decompressed); a batch of at most 10,000 lines",
    ),
    responses(
        (status = 200, description = "The same event was accepted within the last ten minutes and is not published again", body = Accepted),
        (status = 202, description = "The broker has the event, or all events of the batch; with `endpoints` 0 no endpoint wants it", content((Accepted = "application/json"), (String = "application/x-ndjson"))),
        (status = 207, description = "Some lines of the batch are invalid", body = String, content_type = "application/x-ndjson"),
        (status = 400, description = "Not JSON (`offset` is the position), not gzip, incomplete, or an invalid Idempotency-Key or X-Webhook-Key", body = Problem, content_type = MEDIA_TYPE),
        (status = 401, description = "Missing or wrong token", body = Problem, content_type = MEDIA_TYPE, headers(("WWW-Authenticate" = String))),
        (status = 403, description = "Without PRODUCER_TOKEN only: the Host is neither local nor in PRODUCER_ALLOWED_HOSTS, or a browser marks the request as sent by another page", body = Problem, content_type = MEDIA_TYPE),
        (status = 408, description = "Too slow: 15 s for the headers, 15 s for the body", body = Problem, content_type = MEDIA_TYPE),
        (status = 413, description = "Too large, or too many lines", body = Problem, content_type = MEDIA_TYPE),
        (status = 415, description = "Neither JSON nor NDJSON (without PRODUCER_TOKEN the media type is required), or an encoding other than gzip", body = Problem, content_type = MEDIA_TYPE),
        (status = 422, description = "JSON, but not an event: `errors` has a JSON pointer for each fault; or the Idempotency-Key of another event", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "Not accepted, or some lines of the batch were not: repeat after `Retry-After`, with the answer's `id` as Idempotency-Key", content((Problem = "application/problem+json"), (String = "application/x-ndjson")), headers(("Retry-After" = u16, description = "Seconds"))),
    )
)]
pub(crate) async fn post(
    State(service): State<Arc<EventService>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut body = body.into_data_stream();
    let answer = service.answer(&headers, &mut body).await;
    answer.unwrap_or_else(|problem| {
        service.count(&problem);
        body::refuse(problem, &headers, &mut body)
    })
}

impl EventService {
    async fn answer(
        &self,
        headers: &HeaderMap,
        body: &mut BodyDataStream,
    ) -> Result<Response, Problem> {
        // A web page does not know the token. Without tokens, it must not pass.
        let is_open = self.tokens.is_empty();
        if is_open {
            self.guard.admit(headers).map_err(Problem::foreign_page)?;
        } else if !self.tokens.allow(headers) {
            return Err(Problem::unauthorized());
        }
        let format = Format::of(headers, is_open)?;
        let encoding = Encoding::of(headers)?;
        let key = idempotency_key(headers)?;
        if format == Format::Ndjson && key.is_some() {
            return Err(Problem::invalid_idempotency_key(
                "it identifies one event; omit it for a batch",
            ));
        }
        let event_headers = EventHeaders::of(headers)?;
        let _permit = self.permits.try_acquire().map_err(|_| Problem::busy())?;
        let _in_flight = InFlightGuard::new(&self.metrics.requests_in_flight);
        let body = body::read(headers, body, encoding, self.max_body_bytes, &self.budget).await?;
        match format {
            Format::Json => {
                let accepted = self.accept(body, key, event_headers).await?;
                Ok((accepted.status(), Json(accepted)).into_response())
            }
            Format::Ndjson => self.batch(body, event_headers).await,
        }
    }
}

/// Event as a gateway sends it. Additional members follow the documented ones
/// to the webhook, in their original order.
#[derive(ToSchema)]
#[expect(dead_code, reason = "events are read by `wahook_domain::ingest`")]
struct Event {
    /// Name of the event: a documented one or any other of this form.
    #[schema(pattern = "^[a-z][a-z0-9_.:-]{0,63}$", example = "message_create")]
    event: String,
    /// Content of the event; `{}` by default.
    #[schema(value_type = Option<Object>, required = false)]
    data: Option<()>,
    /// ISO 8601 time; by default the current time. Other values are accepted
    /// with a warning.
    #[schema(schema_with = timestamp, required = false)]
    timestamp: Option<()>,
}

fn timestamp() -> ObjectBuilder {
    let types = [Type::String, Type::Number, Type::Null];
    ObjectBuilder::new().schema_type(SchemaType::from_iter(types))
}
