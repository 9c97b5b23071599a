//! Metrics of one endpoint.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};
use wahook_domain::{AttemptNumber, EndpointName, Outcome, WaitStep};

use super::families::ConsumerFamilies;

/// Outcomes of a first attempt whose series exist from the start: an increase from a
/// missing series is no increase for Prometheus. With the others, and with those of
/// retries, the series of 100 endpoints would be tens of thousands.
const FROM_START: [&str; 4] = ["delivered", "status_4xx", "status_5xx", "timeout"];

/// Attempt numbers with series of their own: those of the default retry rule. With those of ten
/// retries, 100 endpoints would have more than 5,000 series.
const ATTEMPTS: [&str; 4] = ["1", "2", "3", "4"];
/// Retries whose delays have series of their own: those of the default retry rule.
const DELAYS: u32 = 3;
/// Label for higher numbers, and for the delays of later retries.
const MORE: &str = "more";

/// Series of one endpoint. Clones share the counts.
#[derive(Debug, Clone)]
pub struct EndpointMetrics {
    /// Deliveries in flight; see [`wahook_runtime::metrics::InFlightGuard`].
    pub in_flight: IntGauge,
    /// Maximum number of deliveries in flight.
    pub limit: IntGauge,
    pub redelivered: Redelivered,
    /// 1 while the circuit is open: deliveries are paused.
    pub circuit_open: IntGauge,
    /// Number of times the circuit opened.
    pub circuit_opened: IntCounter,
    /// 1 while an operator has paused the endpoint.
    pub paused: IntGauge,
    endpoint: EndpointName,
    attempts: IntCounterVec,
    attempt_seconds: LateHistogram,
    filtered: IntCounterVec,
    probes: IntCounterVec,
    republished: IntCounterVec,
    queue_wait_seconds: LateHistogram,
    delivered: IntCounter,
    dead_lettered: IntCounter,
    end_to_end_seconds: LateHistogram,
    retries_scheduled: IntCounterVec,
}

/// Redelivered events by action.
#[derive(Debug, Clone)]
pub struct Redelivered {
    /// Attempted: the log has no such attempt, or is unavailable.
    pub attempted: IntCounter,
    /// Skipped: the log has the attempt.
    pub skipped: IntCounter,
}

/// Histogram of one endpoint that exists once it has an observation.
#[derive(Debug, Clone)]
struct LateHistogram {
    family: HistogramVec,
    series: Arc<OnceLock<Histogram>>,
}

impl LateHistogram {
    fn new(family: &HistogramVec) -> Self {
        Self {
            family: family.clone(),
            series: Arc::default(),
        }
    }

    fn observe(&self, endpoint: &EndpointName, time: Duration) {
        let create = || self.family.with_label_values(&[endpoint.as_str()]);
        self.series.get_or_init(create).observe(time.as_secs_f64());
    }
}

impl EndpointMetrics {
    /// Creates the series of alerts, dashboards and common outcomes at 0, the others when they
    /// are first used.
    pub(super) fn new(families: &ConsumerFamilies, name: &EndpointName) -> Self {
        let endpoint = name.as_str();
        let result = |result| families.deliveries.with_label_values(&[endpoint, result]);
        let action = |action| {
            families
                .events_redelivered
                .with_label_values(&[endpoint, action])
        };
        let metrics = Self {
            in_flight: families.deliveries_in_flight.with_label_values(&[endpoint]),
            limit: families.delivery_limit.with_label_values(&[endpoint]),
            redelivered: Redelivered {
                attempted: action("attempted"),
                skipped: action("skipped"),
            },
            circuit_open: families.circuit_open.with_label_values(&[endpoint]),
            circuit_opened: families.circuit_opened.with_label_values(&[endpoint]),
            paused: families.paused.with_label_values(&[endpoint]),
            endpoint: name.clone(),
            attempts: families.attempts.clone(),
            filtered: families.filtered.clone(),
            probes: families.probes.clone(),
            republished: families.republished.clone(),
            attempt_seconds: LateHistogram::new(&families.attempt_duration),
            queue_wait_seconds: LateHistogram::new(&families.queue_wait),
            delivered: result("delivered"),
            dead_lettered: result("dead_lettered"),
            end_to_end_seconds: LateHistogram::new(&families.end_to_end),
            retries_scheduled: families.retries_scheduled.clone(),
        };
        for outcome in FROM_START {
            let _ = metrics.attempts(outcome, AttemptNumber::FIRST.get());
        }
        metrics
    }

    /// Records the start of an event's first attempt, after its wait in the queue.
    pub fn first_begun(&self, waited: Duration) {
        self.queue_wait_seconds.observe(&self.endpoint, waited);
    }

    /// Records an attempt and its duration.
    pub fn attempted(&self, outcome: &Outcome, number: AttemptNumber, took: Duration) {
        self.attempts(outcome.label(), number.get()).inc();
        self.attempt_seconds.observe(&self.endpoint, took);
    }

    /// Records a delivered event and the time since its acceptance.
    pub fn delivered(&self, end_to_end: Duration) {
        self.delivered.inc();
        self.end_to_end_seconds.observe(&self.endpoint, end_to_end);
    }

    /// Records a dead-lettered event.
    pub fn dead_lettered(&self) {
        self.dead_lettered.inc();
    }

    /// Records a scheduled retry after a failed attempt with this number.
    pub fn retry_scheduled(&self, failed: AttemptNumber, step: WaitStep) {
        self.retries(failed, step).inc();
    }

    /// Records a probe of the paused endpoint.
    pub fn probed(&self, is_delivered: bool) {
        let result = if is_delivered { "delivered" } else { "failed" };
        let labels = [self.endpoint.as_str(), result];
        self.probes.with_label_values(&labels).inc();
    }

    /// Records an event that is requeued without a counted attempt.
    pub fn republished(&self) {
        let labels = [self.endpoint.as_str()];
        self.republished.with_label_values(&labels).inc();
    }

    /// Records an event that the endpoint's filter drops.
    pub fn filtered(&self) {
        let labels = [self.endpoint.as_str()];
        self.filtered.with_label_values(&labels).inc();
    }

    fn attempts(&self, outcome: &str, number: u32) -> IntCounter {
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let number = index
            .and_then(|index| ATTEMPTS.get(index))
            .copied()
            .unwrap_or(MORE);
        self.attempts
            .with_label_values(&[self.endpoint.as_str(), outcome, number])
    }

    fn retries(&self, failed: AttemptNumber, step: WaitStep) -> IntCounter {
        let delay = if failed.get() <= DELAYS {
            step.millis().to_string()
        } else {
            MORE.to_owned()
        };
        self.retries_scheduled
            .with_label_values(&[self.endpoint.as_str(), delay.as_str()])
    }
}
