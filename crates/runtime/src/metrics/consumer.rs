//! Metrics of the consumer.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry, Result};
use wahook_domain::{AttemptNumber, EndpointName, Outcome, RetryRule, WaitStep};

use super::{
    broker::{BrokerMetrics, ConnectionMetrics},
    families::ConsumerFamilies,
};

/// Values of `Outcome::label`.
const OUTCOMES: [&str; 15] = [
    "delivered",
    "status_4xx",
    "status_5xx",
    "status_other",
    "redirect",
    "timeout",
    "dns",
    "connection_refused",
    "connection_reset",
    "connect",
    "tls",
    "protocol",
    "body",
    "blocked",
    "other",
];

/// Attempt numbers that the largest retry rule allows.
const ATTEMPTS: [&str; 11] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];
/// Label for higher numbers: the header of a message must not create series.
const MORE_ATTEMPTS: &str = "more";

/// Series of the consumer. Clones share the counts.
#[derive(Debug, Clone)]
pub struct ConsumerMetrics {
    /// Messages that could not be decoded.
    pub poison_messages: IntCounter,
    /// Seconds per batch written to the log.
    pub log_write_seconds: Histogram,
    /// Batches that could not be written to the log.
    pub log_write_errors: IntCounter,
    /// Seconds from the end of an attempt until its result was durable.
    pub log_lag_seconds: Histogram,
    pub log_results: LogResults,
    /// Results in this program that wait for the log or the results queue.
    pub log_results_pending: IntGauge,
    /// 1 while results can be written to the log.
    pub log_available: IntGauge,
    /// Reloads of the endpoints file.
    pub reloads: Reloads,
    /// Connections to RabbitMQ, with the publishing one.
    pub broker: BrokerMetrics,
    /// Consuming connection.
    pub consume: ConnectionMetrics,
    families: ConsumerFamilies,
}

/// Reloads of the endpoints file by result.
#[derive(Debug, Clone)]
pub struct Reloads {
    /// The file is in effect.
    pub applied: IntCounter,
    /// The file has faults, and nothing changed.
    pub refused: IntCounter,
}

/// Probes of a paused endpoint by result.
#[derive(Debug, Clone)]
pub struct Probes {
    pub delivered: IntCounter,
    pub failed: IntCounter,
}

/// Results by their path to the log.
#[derive(Debug, Clone)]
pub struct LogResults {
    /// Written directly.
    pub direct: IntCounter,
    /// Published to the results queue.
    pub spilled: IntCounter,
    /// Written from the results queue.
    pub drained: IntCounter,
}

/// Redelivered events by action.
#[derive(Debug, Clone)]
pub struct Redelivered {
    /// Attempted: the log has no such attempt, or is unavailable.
    pub attempted: IntCounter,
    /// Skipped: the log has the attempt.
    pub skipped: IntCounter,
}

/// Series of one endpoint. Clones share the counts.
#[derive(Debug, Clone)]
pub struct EndpointMetrics {
    /// Deliveries in flight; see [`super::InFlightGuard`].
    pub in_flight: IntGauge,
    /// Maximum number of deliveries in flight.
    pub limit: IntGauge,
    pub redelivered: Redelivered,
    /// 1 while the circuit is open: deliveries are paused.
    pub circuit_open: IntGauge,
    /// Number of times the circuit opened.
    pub circuit_opened: IntCounter,
    pub probes: Probes,
    /// Events requeued without a counted attempt.
    pub put_back: IntCounter,
    endpoint: EndpointName,
    attempts: IntCounterVec,
    attempt_seconds: Histogram,
    queue_wait_seconds: Histogram,
    delivered: IntCounter,
    dead_lettered: IntCounter,
    end_to_end_seconds: Histogram,
    retries_scheduled: IntCounterVec,
}

impl ConsumerMetrics {
    /// Registers the consumer's families.
    ///
    /// # Errors
    /// When the registry holds them already.
    pub fn new(registry: &Registry) -> Result<Self> {
        let broker = BrokerMetrics::new(registry)?;
        let families = ConsumerFamilies::register(registry)?;
        let path = |path| families.log_results.with_label_values(&[path]);
        let reload = |result| families.reloads.with_label_values(&[result]);
        Ok(Self {
            poison_messages: families.poison_messages.clone(),
            log_write_seconds: families.log_write.clone(),
            log_write_errors: families.log_write_errors.clone(),
            log_lag_seconds: families.log_lag.clone(),
            log_results: LogResults {
                direct: path("direct"),
                spilled: path("spilled"),
                drained: path("drained"),
            },
            log_results_pending: families.log_results_pending.clone(),
            log_available: families.log_available.clone(),
            reloads: Reloads {
                applied: reload("applied"),
                refused: reload("refused"),
            },
            consume: broker.consume(),
            broker,
            families,
        })
    }

    /// Returns the series of one endpoint. Every series that its retry rule can reach
    /// is created at 0.
    #[must_use]
    pub fn endpoint(&self, name: &EndpointName, rule: &RetryRule) -> EndpointMetrics {
        let families = &self.families;
        let endpoint = name.as_str();
        let result = |result| families.deliveries.with_label_values(&[endpoint, result]);
        let action = |action| {
            families
                .events_redelivered
                .with_label_values(&[endpoint, action])
        };
        let probe = |result| families.probes.with_label_values(&[endpoint, result]);
        let metrics = EndpointMetrics {
            in_flight: families.deliveries_in_flight.with_label_values(&[endpoint]),
            limit: families.delivery_limit.with_label_values(&[endpoint]),
            redelivered: Redelivered {
                attempted: action("attempted"),
                skipped: action("skipped"),
            },
            circuit_open: families.circuit_open.with_label_values(&[endpoint]),
            circuit_opened: families.circuit_opened.with_label_values(&[endpoint]),
            probes: Probes {
                delivered: probe("delivered"),
                failed: probe("failed"),
            },
            put_back: families.put_back.with_label_values(&[endpoint]),
            endpoint: name.clone(),
            attempts: families.attempts.clone(),
            attempt_seconds: families.attempt_duration.with_label_values(&[endpoint]),
            queue_wait_seconds: families.queue_wait.with_label_values(&[endpoint]),
            delivered: result("delivered"),
            dead_lettered: result("dead_lettered"),
            end_to_end_seconds: families.end_to_end.with_label_values(&[endpoint]),
            retries_scheduled: families.retries_scheduled.clone(),
        };
        for number in 1..=rule.max_attempts() {
            for outcome in OUTCOMES {
                let _ = metrics.attempts(outcome, number);
            }
        }
        if rule.max_attempts() > 1 {
            for step in rule.wait_steps() {
                let _ = metrics.retries(step);
            }
        }
        metrics
    }
}

impl EndpointMetrics {
    /// Records the start of an event's first attempt, after its wait in the queue.
    pub fn first_begun(&self, waited: Duration) {
        self.queue_wait_seconds.observe(waited.as_secs_f64());
    }

    /// Records an attempt and its duration.
    pub fn attempted(&self, outcome: &Outcome, number: AttemptNumber, took: Duration) {
        self.attempts(outcome.label(), number.get()).inc();
        self.attempt_seconds.observe(took.as_secs_f64());
    }

    /// Records a delivered event and the time since its acceptance.
    pub fn delivered(&self, end_to_end: Duration) {
        self.delivered.inc();
        self.end_to_end_seconds.observe(end_to_end.as_secs_f64());
    }

    /// Records a dead-lettered event.
    pub fn dead_lettered(&self) {
        self.dead_lettered.inc();
    }

    /// Records a scheduled retry.
    pub fn retry_scheduled(&self, step: WaitStep) {
        self.retries(step).inc();
    }

    fn attempts(&self, outcome: &str, number: u32) -> IntCounter {
        let index = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        let number = index
            .and_then(|index| ATTEMPTS.get(index))
            .copied()
            .unwrap_or(MORE_ATTEMPTS);
        self.attempts
            .with_label_values(&[self.endpoint.as_str(), outcome, number])
    }

    fn retries(&self, step: WaitStep) -> IntCounter {
        let delay = step.millis().to_string();
        self.retries_scheduled
            .with_label_values(&[self.endpoint.as_str(), delay.as_str()])
    }
}
