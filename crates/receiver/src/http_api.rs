//! HTTP API of the page, also for other programs.
//!
//! All paths begin with `/_receiver/api`. Times are milliseconds since 1970, sizes are
//! bytes. Errors are problem documents (RFC 9457). Requests whose `Host` is a name other
//! than `localhost`, or that a browser sends from another page, are answered 403.
//!
//! | | |
//! |---|---|
//! | `GET deliveries` | *update* with all requests kept |
//! | `GET stream` | *updates* as server-sent events: first all requests kept (or the changes since `Last-Event-ID`), then each change |
//! | `GET search?text=…` | `{"numbers": […]}`: requests that contain the text in body, target or headers; the case of ASCII letters is ignored |
//! | `GET deliveries/17` | one *delivery* with `headers`, `body` and `curl`; 404 if it is no longer kept |
//! | `GET deliveries/17/body` | bytes of its body |
//! | `DELETE deliveries` | removes all; 204 |
//! | `PUT rule` | sets the *rule* and returns it; 400 if the JSON does not have this shape, 415 if it is not sent as `application/json`, 422 if a value is out of range |
//! | `DELETE rule` | resets the rule to 200 for all, and returns it |
//!
//! An *update* has `run` (differs after each start), `step` (grows with every change),
//! `first` (number of the oldest delivery kept: discard those below), `has_secret`, `rule`,
//! and `deliveries`: new and changed ones, to be stored by their `number`.
//!
//! A *delivery* is one request:
//!
//! - `number` (from 1), `time_ms`, `method`, `target` (path and query), `body_bytes`
//! - `event`, `id` and `attempt`, as claimed by the request; null if absent
//! - `gap_ms`: time since the last request with this id; null for the first
//! - `answer`: `status`, `retry_after_s`, `delay_ms`, and `state`, which is `waiting`,
//!   `given` or `abandoned` (by the sender)
//! - `signatures`: `body` (`X-Webhook-Signature`) and `standard` (`webhook-signature`), each
//!   with `state` (`valid`, `invalid`, `unknown`), `code` (a
//!   [`Fault::code`](crate::verify::Fault::code), `valid` or `no-secret`) and `reason`, a
//!   text
//!
//! `GET deliveries/17` adds `headers` (pairs, in order), `curl` (a shell command) and `body`:
//! `text` (null above 2 MiB; invalid UTF-8 is replaced by U+FFFD), `not_utf8_at` (offset of
//! the first invalid byte, else null) and `cut` (reason for a missing body, else null).
//!
//! A *rule* has `status` (200 to 599), `retry_after_s` (or null), `delay_ms` (0 to 600000)
//! and `next` (number of requests, or null for all).

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};
use wahook_runtime::{
    Shutdown,
    guard::{self, Refused},
    problem::Problem,
};

use crate::{
    answer::Rule,
    feed, page,
    search::contains_text,
    shape::{Detail, RuleShape, Update},
    state,
    webhook::Webhook,
};

#[derive(Clone)]
struct Shared {
    state: Arc<state::State>,
    shutdown: Shutdown,
}

/// Returns the router: the page at `/`, its files and this API below `/_receiver`, and
/// webhooks at all other paths.
pub(crate) fn router(state: Arc<state::State>, shutdown: Shutdown) -> Router {
    let webhook = Arc::new(Webhook::new(Arc::clone(&state), shutdown.clone()));
    let receive = move |request: Request| {
        let webhook = Arc::clone(&webhook);
        async move { webhook.answer(request).await }
    };
    let shared = Shared { state, shutdown };
    let own = Router::new()
        .route("/api/deliveries", get(all).delete(clear))
        .route("/api/deliveries/{number}", get(one))
        .route("/api/deliveries/{number}/body", get(bytes))
        .route("/api/search", get(search))
        .route("/api/stream", get(stream))
        .route("/api/rule", axum::routing::put(set_rule).delete(end_rule))
        .route("/{file}", get(page::file))
        .fallback(async || not_found())
        .layer(middleware::from_fn(only_own_page))
        .layer(middleware::map_response(page::guarded))
        .with_state(shared);
    let index = get(page::index)
        .layer(middleware::from_fn(only_by_address))
        .layer(middleware::map_response(page::guarded));
    Router::new()
        .route("/", index.fallback(receive.clone()))
        .nest("/_receiver", own)
        .fallback(receive)
}

pub(crate) fn not_found() -> Problem {
    let title = "The path does not exist";
    let hint = "paths below /_receiver belong to the page; use any other path for a webhook";
    Problem::new(StatusCode::NOT_FOUND, "not-found", title, hint)
}

async fn only_by_address(request: Request, next: Next) -> Result<Response, Problem> {
    guard::admit_host(request.headers()).map_err(forbidden)?;
    Ok(next.run(request).await)
}

async fn only_own_page(request: Request, next: Next) -> Result<Response, Problem> {
    guard::admit_own_page(request.headers()).map_err(forbidden)?;
    Ok(next.run(request).await)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn forbidden(refused: Refused) -> Problem {
    let title = "The request is not from the page itself";
    Problem::new(
        StatusCode::FORBIDDEN,
        "not-our-page",
        title,
        refused.to_string(),
    )
}

async fn all(State(shared): State<Shared>) -> Json<Update> {
    Json(shared.state.update_since(0))
}

async fn stream(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let body = feed::body(Arc::clone(&shared.state), last, &shared.shutdown);
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn one(
    State(shared): State<Shared>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Detail>, Problem> {
    let host = guard::admit_host(&headers).map_err(forbidden)?;
    let number = number.parse().map_err(|_| not_kept())?;
    let detail = shared.state.detail(number, &format!("http://{host}"));
    detail.map(Json).ok_or_else(not_kept)
}

/// Returns the body as a download, so that a browser never shows foreign content as a page.
async fn bytes(
    State(shared): State<Shared>,
    Path(number): Path<String>,
) -> Result<Response, Problem> {
    let number: u64 = number.parse().map_err(|_| not_kept())?;
    let request = shared.state.request(number).ok_or_else(not_kept)?;
    let name = format!("attachment; filename=\"delivery-{number}.bin\"");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from(request.body.clone())).into_response())
}

fn not_kept() -> Problem {
    let title = "The delivery is not kept";
    let hint = "only the latest 1,000 deliveries since the start are kept, 64 MiB at most";
    Problem::new(StatusCode::NOT_FOUND, "not-remembered", title, hint)
}

#[derive(Deserialize)]
struct SearchQuery {
    #[serde(default)]
    text: String,
}

async fn search(State(shared): State<Shared>, Query(query): Query<SearchQuery>) -> Json<Value> {
    let requests = shared.state.requests().into_iter();
    let found = requests.filter(|(_, request)| contains_text(request, query.text.as_bytes()));
    let numbers: Vec<u64> = found.map(|(number, _)| number).collect();
    Json(json!({ "numbers": numbers }))
}

async fn clear(State(shared): State<Shared>) -> StatusCode {
    shared.state.clear();
    StatusCode::NO_CONTENT
}

async fn set_rule(
    State(shared): State<Shared>,
    body: Result<Json<RuleShape>, JsonRejection>,
) -> Result<Json<RuleShape>, Problem> {
    let Json(shape) = body.map_err(|rejection| {
        let status = match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        let title = "The body is not a rule";
        Problem::new(status, "no-rule", title, rejection.body_text())
    })?;
    let rule = Rule::try_from(shape).map_err(|error| {
        let title = "The rule is out of range";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(status, "rule-out-of-range", title, error.to_string())
    })?;
    shared.state.set_rule(rule);
    Ok(Json(RuleShape::from(rule)))
}

async fn end_rule(State(shared): State<Shared>) -> Json<RuleShape> {
    shared.state.set_rule(Rule::OK);
    Json(RuleShape::from(Rule::OK))
}
