//! `/endpoints`: figures and state of endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use wahook_delivery_log::{RecentEndpoint, Summary};
use wahook_domain::EndpointName;
use wahook_operator_state::{EndpointState, Pause, SharedOperatorState};
use wahook_runtime::{
    clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    failure::Failure,
    log::Log,
    queues::{Depths, Queues},
    stats::Numbers,
};

/// Period of the numbers.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// State of the handlers.
#[derive(Clone)]
pub(crate) struct Endpoints {
    pub(crate) log: Log,
    pub(crate) queues: Arc<Queues>,
    pub(crate) operator: SharedOperatorState,
}

/// All endpoints that are known by the log, the queues or an operator's order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointList {
    pub(crate) endpoints: Vec<EndpointShape>,
}

/// Endpoint with its figures.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Endpoint)]
pub(crate) struct EndpointShape {
    pub(crate) name: String,
    /// URL of the newest delivery, without secrets; null if no recent one is in the log
    webhook_url: Option<String>,
    /// Deliveries of events that were accepted in the last 24 hours
    #[serde(flatten)]
    numbers: Numbers,
    /// Share of the deliveries that ended, from 0 to 1; null without one
    success_rate: Option<f64>,
    /// Median duration of the newest attempts
    p50_ms: Option<i64>,
    /// Duration that 95 % of the newest attempts do not exceed
    p95_ms: Option<i64>,
    /// Messages in the queue; null if the broker is unavailable
    queued: Option<u32>,
    /// Age of the oldest message; null if it is unknown
    oldest_wait_seconds: Option<u64>,
    paused: Option<PauseShape>,
}

/// Pause of an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
pub(crate) struct PauseShape {
    /// `operator`, or `circuit` for the circuit breaker
    by: &'static str,
    since: Option<String>,
    reason: Option<String>,
}

/// List endpoints with their figures
#[utoipa::path(
    get,
    path = "/api/v1/endpoints",
    tag = "endpoints",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "All known endpoints, by name", body = EndpointList),
        (status = 401, description = "Missing or wrong token", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log is unavailable, or took too long", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(crate) async fn list(State(state): State<Endpoints>) -> Result<Json<EndpointList>, Failure> {
    let endpoints = state.read().await?;
    Ok(Json(EndpointList { endpoints }))
}

impl Endpoints {
    /// Reads all endpoints.
    pub(crate) async fn read(&self) -> Result<Vec<EndpointShape>, Failure> {
        let now = clock::now();
        let (recent, summary, states) = tokio::join!(
            self.log.recent(),
            self.log.summary(now.minus(DAY), now),
            self.operator.endpoints(),
        );
        let states = states.map_err(|error| Failure::log(&error))?;
        let figures = Figures::new(recent?, summary?, states);
        let depths = self.queues.depths(figures.names()).await;
        Ok(figures.list(depths))
    }
}

/// Figures of all endpoints, without their queues.
struct Figures {
    recent: BTreeMap<EndpointName, RecentEndpoint>,
    summary: Summary,
    states: BTreeMap<EndpointName, EndpointState>,
}

impl Figures {
    fn new(recent: Vec<RecentEndpoint>, summary: Summary, states: Vec<EndpointState>) -> Self {
        let recent = recent.into_iter().map(|one| (one.endpoint.clone(), one));
        let states = states.into_iter().map(|one| (one.endpoint.clone(), one));
        Self {
            recent: recent.collect(),
            summary,
            states: states.collect(),
        }
    }

    fn names(&self) -> BTreeSet<EndpointName> {
        let counted = self.summary.by_endpoint.keys();
        let counted = counted.filter_map(|name| EndpointName::parse(name).ok());
        let known = self.recent.keys().chain(self.states.keys()).cloned();
        known.chain(counted).collect()
    }

    /// Returns all endpoints by name.
    fn list(mut self, depths: Option<Depths>) -> Vec<EndpointShape> {
        let mut names = self.names();
        names.extend(depths.iter().flatten().map(|(name, _)| name.clone()));
        let shapes = names.into_iter().map(|name| {
            let recent = self.recent.remove(&name);
            let numbers = self.summary.by_endpoint.get(name.as_str()).copied();
            let numbers: Numbers = numbers.unwrap_or_default().into();
            let queue = depths.as_ref().map(|depths| depths.get(&name));
            let state = self.states.remove(&name);
            EndpointShape {
                success_rate: success_rate(numbers),
                numbers,
                p50_ms: recent.as_ref().map(|recent| recent.p50_ms),
                p95_ms: recent.as_ref().map(|recent| recent.p95_ms),
                webhook_url: recent.map(|recent| recent.webhook_url),
                queued: queue.map(|queue| queue.map_or(0, |queue| queue.messages())),
                oldest_wait_seconds: None,
                paused: state.and_then(|state| state.pause).map(PauseShape::from),
                name: name.to_string(),
            }
        });
        shapes.collect()
    }
}

fn success_rate(numbers: Numbers) -> Option<f64> {
    let ended = numbers.success.saturating_add(numbers.failed);
    (ended > 0).then(|| numbers.success as f64 / ended as f64)
}

impl From<Pause> for PauseShape {
    fn from(pause: Pause) -> Self {
        Self {
            by: "operator",
            since: Some(pause.since.to_iso8601()),
            reason: pause.reason.map(|reason| reason.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_delivery_log::Outcomes;
    use wahook_domain::UnixMillis;
    use wahook_queue::EndpointQueue;

    fn name(text: &str) -> EndpointName {
        EndpointName::parse(text).unwrap()
    }

    fn figures() -> Figures {
        let recent = RecentEndpoint {
            endpoint: name("crm"),
            webhook_url: "https://example.com/".to_owned(),
            p50_ms: 12,
            p95_ms: 80,
        };
        let outcomes = Outcomes {
            success: 3,
            failed: 1,
            retrying: 2,
        };
        let summary = Summary {
            by_endpoint: [("crm".to_owned(), outcomes)].into(),
            ..Summary::default()
        };
        let pause = Pause {
            by: "ann".to_owned(),
            since: UnixMillis::new(0),
            reason: None,
        };
        let paused = EndpointState {
            pause: Some(pause),
            ..EndpointState::initial(name("shop"))
        };
        Figures::new(vec![recent], summary, vec![paused])
    }

    #[test]
    fn endpoints_of_log_queues_and_orders_are_listed() {
        let queue = EndpointQueue {
            queued: 5,
            waiting: Some(2),
            ..EndpointQueue::default()
        };
        let list = figures().list(Some([(name("new"), queue)].into()));
        let names: Vec<_> = list.iter().map(|shape| shape.name.as_str()).collect();
        assert_eq!(names, ["crm", "new", "shop"]);
        assert_eq!(list[0].success_rate, Some(0.75));
        assert_eq!((list[0].p95_ms, list[0].queued), (Some(80), Some(0)));
        assert_eq!((list[1].success_rate, list[1].queued), (None, Some(7)));
        assert!(list[2].paused.is_some() && list[0].paused.is_none());
    }

    #[test]
    fn depth_is_unknown_without_the_broker() {
        let list = figures().list(None);
        assert!(list.iter().all(|shape| shape.queued.is_none()));
    }
}
