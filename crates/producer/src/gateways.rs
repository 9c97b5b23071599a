//! `POST /v1/in/{source}`: accepts what a gateway posts to its webhook, in the gateway's own
//! form, and answers after the broker's confirm.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, BodyDataStream},
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::task::unconstrained;
use uuid::Uuid;
use wahook_domain::{ContentHash, EventId, OrderKey, QueuedEvent};
use wahook_runtime::{clock, metrics::InFlightGuard};
use wahook_sources::Kind;

use crate::{
    body,
    event_service::{Accepted, EventService},
    headers::{Encoding, EventHeaders, idempotency_key},
    problem::Problem,
    sources::{self, Address, Source, SourcedEvent, check_signature, check_token},
};

/// Events of one request that are published at the same time.
const WINDOW: usize = 64;

/// Answer to a request with several events.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AcceptedAll {
    events: Vec<Accepted>,
}

/// Post an event in a gateway's own form
///
/// `source` is a source of `WAHOOK_SOURCES`, or without that setting the name of a kind: `wahook`,
/// `waha`, `evolution`, `wwebjs`, `wppconnect`, `open-wa`, `gowa`, `wuzapi`, `meta` or `generic`. Any further
/// path may follow. The token is accepted as Bearer, as the password of Basic, in `X-Api-Key`, as
/// `?token=`, or as the last segment of the path; a source with a secret needs the gateway's own
/// signature instead.
#[utoipa::path(
    post,
    path = "/v1/in/{source}",
    tag = "gateways",
    security(("bearer" = []), ("basic" = []), ("apiKey" = [])),
    params(
        ("source" = String, Path, description = "Name of the source", pattern = "^[a-z][a-z0-9_-]{0,63}$"),
        ("token" = Option<String>, Query, description = "Token, for gateways that cannot send it in a header"),
        ("Idempotency-Key" = Option<String>, Header, description = "Id of the event, if the request contains one event", pattern = "^[!-~]{1,255}$"),
        ("X-Webhook-Key" = Option<String>, Header, description = "Order key of all events of the request; by default the chat that an event is about, within its source and session", pattern = "^[!-~]{1,256}$"),
        ("traceparent" = Option<String>, Header, description = "W3C Trace Context, passed on; other values are ignored"),
        ("tracestate" = Option<String>, Header, description = "W3C Trace Context, passed on with a valid `traceparent`: at most 512 characters and 32 members"),
        ("baggage" = Option<String>, Header, description = "W3C Baggage, passed on: at most 2,048 bytes and 64 members"),
    ),
    request_body(
        content((Object = "application/json"), (String = "application/x-www-form-urlencoded"), (String = "multipart/form-data")),
        description = "What the gateway posts, of at most PRODUCER_MAX_BODY_BYTES",
    ),
    responses(
        (status = 200, description = "Accepted before, or a kind whose gateway expects 200", body = Accepted),
        (status = 202, description = "The event, or all events of the request, are durable; `events` lists them if they are several", body = Accepted),
        (status = 400, description = "Not JSON, or an invalid Idempotency-Key or X-Webhook-Key", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "Missing or wrong token or signature", body = Problem, content_type = "application/problem+json", headers(("WWW-Authenticate" = String))),
        (status = 403, description = "Without tokens only: the request may come from a web page", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No source of this name", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "Too slow", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Neither JSON nor a form, or an encoding other than gzip", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not what this gateway posts, or the Idempotency-Key of another event", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not accepted: repeat after `Retry-After`", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u16, description = "Seconds"))),
    )
)]
pub(crate) async fn post(
    State(service): State<Arc<EventService>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (name, path) = parts(&uri);
    let query = uri.query().unwrap_or_default();
    let mut body = body.into_data_stream();
    let Some(source) = service.sources.find(name) else {
        let problem = Problem::unknown_source();
        service.count(&problem);
        return body::refuse(problem, &headers, &mut body);
    };
    let answer = service
        .take(&source, path, query, &headers, &mut body)
        .await;
    answer.unwrap_or_else(|problem| {
        service.count_refused(&source, &problem);
        body::refuse(problem, &headers, &mut body)
    })
}

/// Returns the name of the source and the rest of the path, which is still percent-encoded: a
/// token may contain an encoded `/`.
pub(crate) fn parts(uri: &Uri) -> (&str, &str) {
    let place = uri.path().strip_prefix("/v1/in/").unwrap_or_default();
    place.split_once('/').unwrap_or((place, ""))
}

impl EventService {
    /// Counts a refused request of a source.
    pub(crate) fn count_refused(&self, source: &Source, problem: &Problem) {
        self.count(problem);
        let labels = [source.name.as_str(), problem.reason().label()];
        let refused = &self.metrics.source_events_refused;
        refused.with_label_values(&labels).inc();
    }

    pub(crate) fn tokens_of<'s>(&'s self, source: &'s Source) -> &'s crate::Tokens {
        if source.tokens.is_empty() {
            &self.tokens
        } else {
            &source.tokens
        }
    }

    async fn take(
        &self,
        source: &Source,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: &mut BodyDataStream,
    ) -> Result<Response, Problem> {
        let address = self.admit(source, headers, path, query)?;
        let encoding = Encoding::of(headers)?;
        let key = idempotency_key(headers)?;
        let event_headers = EventHeaders::of(headers)?;
        let is_verified = source.secret.is_none();
        let unverified = (!is_verified).then(|| self.unverified_permits.try_acquire());
        let unverified = unverified.transpose().map_err(|_| Problem::busy())?;
        let _permit = self.permits.try_acquire().map_err(|_| Problem::busy())?;
        let _in_flight = InFlightGuard::new(&self.metrics.requests_in_flight);
        let limit = source.max_body_bytes.unwrap_or(self.max_body_bytes);
        let limit = limit.min(self.max_body_bytes);
        let budget = if is_verified {
            &self.budget
        } else {
            &self.unverified
        };
        let body = body::read(headers, body, encoding, limit, budget).await?;
        check_signature(source, headers, &body).map_err(Problem::denied)?;
        drop(unverified);
        // The tree, its text if the body is a form, and the events are in memory together.
        let memory = self.reserve_tree(&body, 2 * body.len())?;
        // The same key and the same bytes are a repeat, also if the event has no key of its own.
        let key = key.map(|id| (id, ContentHash::of_parts(&[&body])));
        let events = sources::events(source, &address, headers, &body, clock::now())
            .map_err(Problem::not_an_event_of_source)?;
        let accepted = self
            .publish_all(source, events, key, &event_headers)
            .await?;
        drop(memory);
        Ok(answer(source.kind, accepted))
    }

    /// Checks what can be checked before the body is read.
    fn admit<'a>(
        &self,
        source: &Source,
        headers: &HeaderMap,
        path: &'a str,
        query: &'a str,
    ) -> Result<Address<'a>, Problem> {
        let tokens = self.tokens_of(source);
        if source.secret.is_none() && tokens.is_empty() {
            self.guard.admit(headers).map_err(Problem::foreign_page)?;
        } else if source.secret.is_none() {
            return check_token(tokens, headers, path, query).map_err(Problem::denied);
        }
        // A gateway that signs may send a token too.
        Ok(
            check_token(tokens, headers, path, query).unwrap_or(Address {
                path: path.trim_matches('/'),
                query,
            }),
        )
    }

    async fn publish_all(
        &self,
        source: &Source,
        events: Vec<SourcedEvent>,
        key: Option<(EventId, ContentHash)>,
        headers: &EventHeaders,
    ) -> Result<Vec<Accepted>, Problem> {
        let key = key.filter(|_| events.len() == 1);
        let publish = |event: SourcedEvent| {
            let (key, headers) = (key.clone(), headers.clone());
            // Unconstrained, so that tokio's budget does not change the order of the publishes.
            unconstrained(async move {
                let accepted = self.publish_sourced(event, key, headers).await?;
                self.metrics
                    .source_events
                    .with_label_values(&[source.name.as_str(), accepted.outcome()])
                    .inc();
                Ok(accepted)
            })
        };
        let published = stream::iter(events).map(publish).buffered(WINDOW);
        published.try_collect().await
    }

    async fn publish_sourced(
        &self,
        event: SourcedEvent,
        key: Option<(EventId, ContentHash)>,
        headers: EventHeaders,
    ) -> Result<Accepted, Problem> {
        let fresh = || EventId::from(Uuid::now_v7());
        let (id, content) = match key {
            Some((id, content)) => (id, Some(content)),
            None => (event.id(fresh), event.content),
        };
        let queued = self.kept(QueuedEvent {
            traceparent: headers.traceparent,
            propagated: headers.propagated,
            key: (headers.order_key).or_else(|| OrderKey::of_origin(&event.origin)),
            origin: Some(event.origin),
            ..QueuedEvent::new(id, event.name, event.body, clock::now())
        })?;
        self.publish_accepted(queued, content, Vec::new()).await
    }
}

/// Returns the answer to a request whose events are all accepted. Meta repeats a request for
/// days unless the status is 200.
fn answer(kind: Kind, mut accepted: Vec<Accepted>) -> Response {
    let is_new = accepted
        .iter()
        .any(|event| event.status() == StatusCode::ACCEPTED);
    let status = if is_new && kind != Kind::Meta {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    match (accepted.pop(), accepted.is_empty()) {
        (Some(single), true) => (status, Json(single)).into_response(),
        (last, _) => {
            accepted.extend(last);
            (status, Json(AcceptedAll { events: accepted })).into_response()
        }
    }
}
