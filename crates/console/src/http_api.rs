//! Routes of the console: its page, and the API below `/api/v1`.

use std::{sync::Arc, time::Duration};

use axum::{
    Router, middleware,
    routing::{get, post},
};
use wahook_delivery_log::LogEraser;
use wahook_operator_state::{SharedCircuitReports, SharedOperatorState};
use wahook_queue::Publisher;
use wahook_runtime::{
    Readiness, Shutdown, ops,
    slots::{Slots, limited},
};

use crate::{
    ConsoleSettings, dead_letters,
    deliveries::{self, Deliveries},
    endpoints::{self, Endpoints},
    erasures::{self, Erasures},
    gate::{self, Gate},
    give_ups,
    jobs::Jobs,
    jobs_api::{self, JobsState},
    letter_jobs::{self, LetterJobs},
    live::{self, Live},
    log::Log,
    openapi, orders, page,
    queues::Queues,
    redeliveries::{self, Redeliveries},
    session::{self, Sessions},
    stats,
    test_event::{self, TestEvents},
};

/// Hint for unknown paths.
const HINT: &str = "the page is at /, the API below /api/v1; see /api/v1/openapi.json";

/// Answers with the content of a delivery at the same time, of about 15 MiB each.
const LARGE_ANSWERS: usize = 2;
const WAIT_FOR_ANSWER: Duration = Duration::from_secs(5);

/// State that the handlers share.
pub(crate) struct AppState {
    pub(crate) log: Log,
    pub(crate) queues: Arc<Queues>,
    pub(crate) operator: SharedOperatorState,
    pub(crate) circuits: SharedCircuitReports,
    pub(crate) publisher: Publisher,
    pub(crate) live: Arc<Live>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) eraser: Arc<dyn LogEraser>,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: Shutdown,
}

/// Returns the routes of the page and of the API.
pub(crate) fn router(settings: ConsoleSettings, state: AppState) -> Router {
    let guard = settings.guard();
    let gate = Arc::new(Gate::new(guard, settings.credentials, settings.user_header));
    let sessions = Sessions {
        gate: Arc::clone(&gate),
        shows_payloads: settings.shows_payloads,
    };
    let health = ops::health_router(state.readiness.clone());
    let user = middleware::from_fn_with_state(Arc::clone(&gate), gate::admit_user);
    let own_page = middleware::from_fn_with_state(Arc::clone(&gate), gate::admit_own_page);
    let login = get(session::get)
        .post(session::post)
        .delete(session::delete);
    let api = for_users(state, settings.shows_payloads)
        .layer(user)
        .merge(Router::new().route("/session", login).with_state(sessions))
        .route("/openapi.json", get(openapi::get))
        .layer(own_page);
    let link = middleware::from_fn_with_state(gate, gate::admit_link);
    let pages = page::router().merge(health).layer(link);
    let router = pages.nest("/api/v1", api);
    ops::refuse_the_rest(router, HINT).layer(middleware::map_response(wahook_page::guarded))
}

/// Returns the routes that need a session or a token.
fn for_users(state: AppState, shows_payloads: bool) -> Router {
    let jobs = state.jobs;
    let endpoints = Endpoints {
        log: state.log.clone(),
        queues: Arc::clone(&state.queues),
        operator: Arc::clone(&state.operator),
        circuits: state.circuits,
    };
    let letter_jobs = LetterJobs {
        queues: Arc::clone(&state.queues),
        jobs: Arc::clone(&jobs),
        operator: Arc::clone(&state.operator),
    };
    let give_ups = (state.log.clone(), Arc::clone(&jobs));
    let redeliveries = Redeliveries {
        endpoints: endpoints.clone(),
        jobs: Arc::clone(&jobs),
    };
    let jobs = JobsState {
        jobs,
        operator: Arc::clone(&state.operator),
    };
    let erasures = Erasures {
        eraser: state.eraser,
        queues: Arc::clone(&state.queues),
        operator: Arc::clone(&state.operator),
        shutdown: state.shutdown,
    };
    let test_events = TestEvents {
        publisher: state.publisher,
        operator: state.operator,
    };
    let deliveries = Deliveries {
        log: state.log.clone(),
        shows_payloads,
    };
    let slots = Slots::new(LARGE_ANSWERS, WAIT_FOR_ANSWER);
    let show = get(deliveries::show).layer(middleware::from_fn_with_state(slots, limited));
    Router::new()
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/{id}/{endpoint}", show)
        .with_state(deliveries)
        .route(
            "/deliveries/{id}/{endpoint}/give-up",
            post(give_ups::post).with_state(give_ups),
        )
        .route("/stats", get(stats::get).with_state(state.log))
        .route("/events/live", get(live::get).with_state(state.live))
        .route(
            "/test-event",
            post(test_event::post).with_state(test_events),
        )
        .route(
            "/redeliveries",
            post(redeliveries::post).with_state(redeliveries),
        )
        .route("/erasures", post(erasures::post).with_state(erasures))
        .merge(of_endpoints(endpoints))
        .merge(of_letters(state.queues, letter_jobs))
        .merge(of_jobs(jobs))
}

fn of_endpoints(state: Endpoints) -> Router {
    Router::new()
        .route("/endpoints", get(endpoints::list))
        .route("/endpoints/{name}/pause", post(orders::pause))
        .route("/endpoints/{name}/resume", post(orders::resume))
        .route("/endpoints/{name}/probe", post(orders::probe))
        .with_state(state)
}

fn of_letters(queues: Arc<Queues>, state: LetterJobs) -> Router {
    Router::new()
        .route("/dead-letters/redrive", post(letter_jobs::redrive))
        .route("/dead-letters/discard", post(letter_jobs::discard))
        .with_state(state)
        .route("/dead-letters", get(dead_letters::list).with_state(queues))
}

fn of_jobs(state: JobsState) -> Router {
    Router::new()
        .route("/jobs", get(jobs_api::list))
        .route("/jobs/{job}", get(jobs_api::show).delete(jobs_api::cancel))
        .with_state(state)
}

#[cfg(test)]
mod tests;
