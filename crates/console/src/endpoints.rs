//! `/endpoints`: figures and state of endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use wahook_delivery_log::{Outcomes, RecentEndpoint, Summary};
use wahook_domain::{EndpointName, UnixMillis};
use wahook_operator_state::{
    CircuitPause, EndpointState, SharedCircuitReports, SharedOperatorState,
};
use wahook_runtime::{
    clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    failure::Failure,
    log::Log,
    pause_shape::PauseShape,
    queues::{Depths, Queues},
    refusals::Reading,
};

/// Period of the numbers.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// State of the handlers.
#[derive(Clone)]
pub(crate) struct Endpoints {
    pub(crate) log: Log,
    pub(crate) queues: Arc<Queues>,
    pub(crate) operator: SharedOperatorState,
    pub(crate) circuits: SharedCircuitReports,
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
    /// Deliveries of events that were accepted in the last 24 hours and succeeded; null after
    /// an order, if the log took too long
    success: Option<u64>,
    failed: Option<u64>,
    retrying: Option<u64>,
    /// Share of the deliveries that ended, from 0 to 1; null without one
    success_rate: Option<f64>,
    /// Median duration of the newest attempts
    p50_ms: Option<i64>,
    /// Duration that 95 % of the newest attempts do not exceed
    p95_ms: Option<i64>,
    /// Messages in the queue; null if the broker is unavailable
    queued: Option<u32>,
    /// Time since the acceptance of the oldest event that is queued or waits for a retry; null
    /// without one, and with RabbitMQ
    oldest_wait_seconds: Option<u64>,
    /// True if it has or had an order, so that an event that is retried holds the later ones of
    /// its key; with a data file only while it has events. Null if the broker is unavailable
    ordered: Option<bool>,
    paused: Option<PauseShape>,
}

/// List endpoints with their figures
#[utoipa::path(
    get,
    path = "/api/v1/endpoints",
    tag = "endpoints",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "All known endpoints, by name", body = EndpointList),
        (status = 503, description = "The log is unavailable, or took too long", body = Problem, content_type = MEDIA_TYPE),
        Reading,
    )
)]
pub(crate) async fn list(State(state): State<Endpoints>) -> Result<Json<EndpointList>, Failure> {
    let endpoints = state.read().await?;
    Ok(Json(EndpointList { endpoints }))
}

impl Endpoints {
    pub(crate) async fn read(&self) -> Result<Vec<EndpointShape>, Failure> {
        let now = clock::now();
        let (recent, summary, states, circuits) = tokio::join!(
            self.log.recent(),
            self.log.summary(now.minus(DAY), now),
            self.operator.endpoints(),
            self.circuits.pauses(),
        );
        let states = states.map_err(|error| Failure::log(&error))?;
        let circuits = circuits.map_err(|error| Failure::log(&error))?;
        let figures = Figures::new(recent?, Some(summary?), (states, circuits));
        let depths = self.queues.depths(figures.names()).await;
        Ok(figures.list(depths, now))
    }

    /// Returns true if the endpoint is listed. Reads its numbers only if nothing else knows it.
    pub(crate) async fn knows(&self, name: &EndpointName) -> Result<bool, Failure> {
        let states = self.operator.endpoints().await;
        let states = states.map_err(|error| Failure::log(&error))?;
        if states.iter().any(|state| state.endpoint == *name) {
            return Ok(true);
        }
        let depths = self.queues.depths(BTreeSet::new()).await;
        if depths.is_some_and(|depths| depths.contains_key(name)) {
            return Ok(true);
        }
        if self
            .log
            .recent()
            .await?
            .iter()
            .any(|one| one.endpoint == *name)
        {
            return Ok(true);
        }
        let now = clock::now();
        let summary = self.log.summary(now.minus(DAY), now).await?;
        Ok(summary.by_endpoint.contains_key(name.as_str()))
    }

    /// Reads one endpoint, without the figures that the log does not answer.
    pub(crate) async fn read_one(
        &self,
        name: EndpointName,
    ) -> Result<Option<EndpointShape>, Failure> {
        let now = clock::now();
        let (recent, summary, states, circuits, depths) = tokio::join!(
            self.log.recent(),
            self.log.summary(now.minus(DAY), now),
            self.operator.endpoints(),
            self.circuits.pauses(),
            self.queues.depths([name.clone()].into()),
        );
        let states = states.map_err(|error| Failure::log(&error))?;
        let circuits = circuits.map_err(|error| Failure::log(&error))?;
        let pauses = (states, circuits);
        let figures = Figures::new(recent.unwrap_or_default(), summary.ok(), pauses);
        let mut list = figures.list(depths, now).into_iter();
        Ok(list.find(|endpoint| endpoint.name == name.as_str()))
    }
}

/// Figures of all endpoints, without their queues.
struct Figures {
    recent: BTreeMap<EndpointName, RecentEndpoint>,
    /// `None` if the log has not answered.
    summary: Option<Summary>,
    states: BTreeMap<EndpointName, EndpointState>,
    circuits: Vec<CircuitPause>,
}

impl Figures {
    fn new(
        recent: Vec<RecentEndpoint>,
        summary: Option<Summary>,
        (states, circuits): (Vec<EndpointState>, Vec<CircuitPause>),
    ) -> Self {
        let recent = recent.into_iter().map(|one| (one.endpoint.clone(), one));
        let states = states.into_iter().map(|one| (one.endpoint.clone(), one));
        Self {
            recent: recent.collect(),
            summary,
            states: states.collect(),
            circuits,
        }
    }

    fn names(&self) -> BTreeSet<EndpointName> {
        let counted = self.summary.iter();
        let counted = counted.flat_map(|summary| summary.by_endpoint.keys());
        let counted = counted.filter_map(|name| EndpointName::parse(name).ok());
        let known = self.recent.keys().chain(self.states.keys());
        let paused = self.circuits.iter().map(|pause| &pause.endpoint);
        known.chain(paused).cloned().chain(counted).collect()
    }

    /// Returns all endpoints by name.
    fn list(mut self, depths: Option<Depths>, now: UnixMillis) -> Vec<EndpointShape> {
        let mut names = self.names();
        names.extend(depths.iter().flatten().map(|(name, _)| name.clone()));
        let shapes = names.into_iter().map(|name| {
            let recent = self.recent.remove(&name);
            let summary = self.summary.as_ref();
            let numbers = summary.map(|summary| {
                let counted = summary.by_endpoint.get(name.as_str()).copied();
                counted.unwrap_or_default()
            });
            let queue = depths.as_ref().map(|depths| depths.get(&name));
            let by_operator = self.states.remove(&name).and_then(|state| state.pause);
            let circuits = self.circuits.iter();
            let circuits = circuits.filter(|pause| pause.endpoint == name);
            EndpointShape {
                success_rate: numbers.and_then(success_rate),
                success: numbers.map(|numbers| numbers.success),
                failed: numbers.map(|numbers| numbers.failed),
                retrying: numbers.map(|numbers| numbers.retrying),
                p50_ms: recent.as_ref().map(|recent| recent.p50_ms),
                p95_ms: recent.as_ref().map(|recent| recent.p95_ms),
                webhook_url: recent.map(|recent| recent.webhook_url),
                queued: queue.map(|queue| queue.map_or(0, |queue| queue.messages())),
                ordered: queue.map(|queue| queue.is_some_and(|queue| queue.is_ordered)),
                oldest_wait_seconds: queue
                    .flatten()
                    .and_then(|queue| queue.oldest)
                    .map(|oldest| now.since(oldest).as_secs()),
                paused: by_operator
                    .map(PauseShape::from)
                    .or_else(|| PauseShape::by_circuits(circuits)),
                name: name.to_string(),
            }
        });
        shapes.collect()
    }
}

fn success_rate(numbers: Outcomes) -> Option<f64> {
    let ended = numbers.success.saturating_add(numbers.failed);
    (ended > 0).then(|| numbers.success as f64 / ended as f64)
}

#[cfg(test)]
mod tests;
