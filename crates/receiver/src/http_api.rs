//! The HTTP behind the page, for other programs too.
//!
//! All paths begin with `/_receiver/api`. Times are milliseconds since 1970,
//! sizes are bytes. Errors are problem documents (RFC 9457). Requests whose
//! `Host` is a name (other than `localhost`), or that a browser sends from
//! another page, are answered 403.
//!
//! | | |
//! |---|---|
//! | `GET deliveries` | an *update* with all requests that are remembered |
//! | `GET stream` | *updates* as server-sent events: first everything (or what the `Last-Event-ID` lacks), then each change |
//! | `GET search?text=…` | `{"numbers": […]}`: whose body, target or headers hold the text, whatever the case of its ASCII letters |
//! | `GET deliveries/17` | one *delivery* with `headers`, `body` and `curl`; 404 where it is not remembered |
//! | `GET deliveries/17/body` | its bytes |
//! | `DELETE deliveries` | forgets them; 204 |
//! | `PUT rule` | a *rule*; the answer is the rule; 400 where it is no JSON of this shape, 415 where it is not sent as `application/json`, 422 where a value is out of its range |
//! | `DELETE rule` | 200 for all again; the answer is that rule |
//!
//! An *update* has `run` (another one after each start), `step` (grows with
//! every change), `first` (the number of the oldest delivery that is
//! remembered: forget those below), `has_secret`, `rule`, and `deliveries`:
//! those that are new or have changed, to be put in by their `number`.
//!
//! A *delivery* is one request: `number` (from 1), `time_ms`, `method`,
//! `target` (path and query), `event`, `id` and `attempt` as it says itself
//! (each may be null), `gap_ms` (since the last request with this id, null
//! for the first), `body_bytes`, `answer` (`status`, `retry_after_s`,
//! `delay_ms`, and as `state` `waiting`, `given` or `abandoned` by the sender)
//! and `signatures`: `body` (`X-Webhook-Signature`) and `standard`
//! (`webhook-signature`), each with `state` (`valid`, `invalid`, `unknown`),
//! `code` (one of those of [`Fault::code`](crate::verify::Fault::code), or
//! `valid`, or `no-secret`) and `reason`, for a person. Alone it also has
//! `headers` (pairs, in order), `curl` (a command for a shell) and `body`:
//! `text` (null above 2 MiB; what is not UTF-8 in it is replaced by U+FFFD),
//! `not_utf8_at` (where that begins, else null) and `cut` (why there is no
//! body, else null).
//!
//! A *rule* has `status` (200 to 599), `retry_after_s` (or null), `delay_ms`
//! (0 to 600000) and `next`: for so many requests, or null for all.

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
use wahook_runtime::{Shutdown, problem::Problem};

use crate::{
    answer::Rule,
    feed,
    guard::{self, Refused},
    page,
    search::holds,
    shape::{Detail, RuleShape, Update},
    state,
    webhook::Webhook,
};

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    state: Arc<state::State>,
    shutdown: Shutdown,
}

/// The page at `/`, its files and this API below `/_receiver`; everything else
/// is a webhook.
pub(crate) fn router(state: Arc<state::State>, shutdown: Shutdown) -> Router {
    let webhook = Arc::new(Webhook::new(Arc::clone(&state), shutdown.clone()));
    let take = move |request: Request| {
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
        .fallback(async || nothing_here())
        .layer(middleware::from_fn(only_own_page))
        .layer(middleware::map_response(page::guarded))
        .with_state(shared);
    let index = get(page::index)
        .layer(middleware::from_fn(only_by_address))
        .layer(middleware::map_response(page::guarded));
    Router::new()
        .route("/", index.fallback(take.clone()))
        .nest("/_receiver", own)
        .fallback(take)
}

pub(crate) fn nothing_here() -> Problem {
    let title = "There is nothing here";
    let hint = "paths that begin with /_receiver are the page's own; use any other for a webhook";
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
    let number = number.parse().map_err(|_| not_remembered())?;
    let detail = shared.state.detail(number, &format!("http://{host}"));
    detail.map(Json).ok_or_else(not_remembered)
}

/// As a download: nothing that came from outside is ever shown as a page.
async fn bytes(
    State(shared): State<Shared>,
    Path(number): Path<String>,
) -> Result<Response, Problem> {
    let number: u64 = number.parse().map_err(|_| not_remembered())?;
    let request = shared.state.request(number).ok_or_else(not_remembered)?;
    let name = format!("attachment; filename=\"delivery-{number}.bin\"");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from(request.body.clone())).into_response())
}

fn not_remembered() -> Problem {
    let title = "The delivery is not remembered";
    let hint = "only the latest 1,000 are, 64 MiB at most, and none from before the last start";
    Problem::new(StatusCode::NOT_FOUND, "not-remembered", title, hint)
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    text: String,
}

async fn search(State(shared): State<Shared>, Query(wanted): Query<Wanted>) -> Json<Value> {
    let requests = shared.state.requests().into_iter();
    let found = requests.filter(|(_, request)| holds(request, wanted.text.as_bytes()));
    let numbers: Vec<u64> = found.map(|(number, _)| number).collect();
    Json(json!({ "numbers": numbers }))
}

async fn clear(State(shared): State<Shared>) -> StatusCode {
    shared.state.clear();
    StatusCode::NO_CONTENT
}

async fn set_rule(
    State(shared): State<Shared>,
    asked: Result<Json<RuleShape>, JsonRejection>,
) -> Result<Json<RuleShape>, Problem> {
    let Json(asked) = asked.map_err(|rejection| {
        let status = match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        let title = "The body is no rule";
        Problem::new(status, "no-rule", title, rejection.body_text())
    })?;
    let rule = Rule::try_from(asked).map_err(|error| {
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
