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
//! | `GET search?text=…` | `{"numbers": […]}`: requests that contain the text (1,000 bytes at most, else 400) in body, target or headers; the case of ASCII letters is ignored |
//! | `GET deliveries/17` | one *delivery* with `headers`, `body` and `curl`; 404 if it is no longer kept |
//! | `GET deliveries/17/body` | bytes of its body |
//! | `DELETE deliveries` | removes all; 204 |
//! | `PUT rule` | sets the *rule* and returns it; 400 if the JSON does not have this shape, 415 if it is not sent as `application/json`, 422 if a value is out of range |
//! | `DELETE rule` | resets the rule to 200 for all, and returns it |
//!
//! At most 16 streams and 8 other answers are sent at the same time; more are answered 503, with
//! `Retry-After`. A slow stream skips changes, and one that is not read for 30 s is closed.
//!
//! An *update* has `run` (differs after each start), `step` (grows with every change),
//! `first` (number of the oldest delivery kept: discard those below), `has_secret`, `rule`,
//! and `deliveries`: new and changed ones, to be stored by their `number`.
//!
//! A *delivery* is one request:
//!
//! - `number` (from 1), `time_ms`, `method`, `target` (path and query), `body_bytes`. In updates,
//!   `method` and `target` end with `…` after 1,000 characters
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

use std::{sync::Arc, time::Duration};

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
use tokio::{sync::Mutex, task::spawn_blocking};
use wahook_runtime::{
    Shutdown,
    guard::{self, Refused},
    problem::Problem,
    slots::{Slots, limited},
};

use crate::{
    answer::Rule,
    feed, page,
    search::{MAX_TEXT, Search},
    shape::{Detail, RuleShape, Update},
    state,
    webhook::Webhook,
};

/// Streams at the same time. A browser opens one for each page.
const STREAMS: usize = 16;
/// Other answers at the same time. The largest has about 14 MiB.
const ANSWERS: usize = 8;
const WAIT_FOR_ANSWER: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Shared {
    state: Arc<state::State>,
    shutdown: Shutdown,
    /// Held by the search that runs.
    searching: Arc<Mutex<()>>,
}

/// Returns the router: the page at `/`, its files and this API below `/_receiver`, and
/// webhooks at all other paths.
pub(crate) fn router(state: Arc<state::State>, shutdown: Shutdown) -> Router {
    let webhook = Arc::new(Webhook::new(Arc::clone(&state), shutdown.clone()));
    let receive = move |request: Request| {
        let webhook = Arc::clone(&webhook);
        async move { webhook.answer(request).await }
    };
    let shared = Shared {
        state,
        shutdown,
        searching: Arc::default(),
    };
    let answers = middleware::from_fn_with_state(Slots::new(ANSWERS, WAIT_FOR_ANSWER), limited);
    let streams = middleware::from_fn_with_state(Slots::new(STREAMS, Duration::ZERO), limited);
    let own = Router::new()
        .route("/api/deliveries", get(all).delete(clear))
        .route("/api/deliveries/{number}", get(one))
        .route("/api/deliveries/{number}/body", get(bytes))
        .route("/api/search", get(search))
        .route_layer(answers)
        .route("/api/stream", get(stream).layer(streams))
        .route("/api/rule", axum::routing::put(set_rule).delete(end_rule))
        .route("/{file}", get(page::file))
        .fallback(async || page::not_found())
        .layer(middleware::from_fn(only_own_page))
        .layer(middleware::map_response(wahook_page::guarded))
        .with_state(shared);
    let index = get(page::index)
        .layer(middleware::from_fn(only_by_address))
        .layer(middleware::map_response(wahook_page::guarded));
    Router::new()
        .route("/", index.fallback(receive.clone()))
        .nest("/_receiver", own)
        .fallback(receive)
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

/// Searches on a thread of its own, because that takes a while, and one search after the other.
async fn search(
    State(shared): State<Shared>,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Value>, Problem> {
    let mut search = Search::new(&query.text).ok_or_else(text_too_long)?;
    let turn = shared.searching.lock_owned().await;
    let requests = shared.state.requests();
    let searched = spawn_blocking(move || {
        // Until the search ends, even if the client disconnects before.
        let _turn = turn;
        let found = requests
            .into_iter()
            .filter(|(_, request)| search.matches(request));
        found.map(|(number, _)| number).collect()
    });
    // Fails only while the program ends.
    let numbers: Vec<u64> = searched.await.unwrap_or_default();
    Ok(Json(json!({ "numbers": numbers })))
}

fn text_too_long() -> Problem {
    let title = "The text is too long";
    let hint = format!("search for at most {MAX_TEXT} bytes");
    Problem::new(StatusCode::BAD_REQUEST, "text-too-long", title, hint)
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
