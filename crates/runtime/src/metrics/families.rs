//! All metric families. Dashboards and alerts depend on these names, so a rename is
//! a breaking change.
//!
//! Labels have few values, all known in advance: the configured name of an endpoint,
//! the class of an outcome, the number of an attempt. Never an address, an id or
//! another value that a client chooses.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::declare::families;

/// A confirm takes about 1 ms on an idle broker, and publishing gives up
/// within 10 s.
const CONFIRM_SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The time limit of an attempt is 30 s by default, so timed-out attempts are counted
/// between the last two.
const ATTEMPT_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 35.0,
];

/// With the default retry rule an event is delivered or dead-lettered after at most
/// 4 × 30 s of attempts and 35 s of waiting.
const END_TO_END_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 180.0,
];

const LOG_WRITE_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Milliseconds while consumers keep up; hours after an outage of all of them.
const QUEUE_WAIT_SECONDS: &[f64] = &[
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0,
    14_400.0,
];

/// Milliseconds as a rule; minutes after an outage of the log.
const LOG_LAG_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];

families! {
    /// Families of every program.
    ProcessFamilies {
        /// Always 1; the labels are the program and its version.
        build_info: IntGaugeVec = "wahook_build_info" ["program", "version"];
    }
}

families! {
    /// Families of the connections to RabbitMQ.
    BrokerFamilies {
        /// 1 while the connection to RabbitMQ is up, else 0.
        connection_up: IntGaugeVec = "wahook_connection_up" ["connection"];
        /// Reconnections to RabbitMQ after a lost connection.
        reconnects: IntCounterVec = "wahook_reconnects_total" ["connection"];
        /// 1 while RabbitMQ blocks publishers because of a memory or disk alarm, else 0.
        blocked: IntGauge = "wahook_broker_blocked";
        /// Number of times RabbitMQ began to block publishers.
        blocked_total: IntCounter = "wahook_broker_blocked_total";
    }
}

families! {
    /// Families of the producer.
    ProducerFamilies {
        /// Events answered 202 and confirmed by the broker for at least one endpoint.
        events_accepted: IntCounter = "wahook_events_accepted_total";
        /// Events answered 202 that match no endpoint and are not delivered.
        events_unwanted: IntCounter = "wahook_events_unwanted_total";
        /// Events answered 200 and not published again: the same event was accepted within
        /// the last ten minutes.
        events_duplicate: IntCounter = "wahook_events_duplicate_total";
        /// Refused events by reason; the gateway may send them again.
        events_refused: IntCounterVec = "wahook_events_refused_total" ["reason"];
        /// Deviations from the documented event format that lenient validation accepted.
        event_warnings: IntCounter = "wahook_event_warnings_total";
        /// Received batches of events.
        batches: IntCounter = "wahook_batches_total";
        /// Seconds from the publishing of an event to the broker's confirm.
        publish_confirm: Histogram = "wahook_publish_confirm_seconds" in CONFIRM_SECONDS;
        /// Requests in flight.
        requests_in_flight: IntGauge = "wahook_requests_in_flight";
    }
}

families! {
    /// Families of the consumer and the delivery log.
    ConsumerFamilies {
        /// Delivery attempts by outcome and number (1 is the first).
        attempts: IntCounterVec = "wahook_attempts_total" ["endpoint", "outcome", "attempt"];
        /// Seconds per attempt, from the connect to the end of the response.
        attempt_duration: HistogramVec = "wahook_attempt_duration_seconds" ["endpoint"] in ATTEMPT_SECONDS;
        /// Seconds that an event waits in the queue, from its acceptance (or redrive) to the start
        /// of its first attempt.
        queue_wait: HistogramVec = "wahook_queue_wait_seconds" ["endpoint"] in QUEUE_WAIT_SECONDS;
        /// Completed deliveries by result: delivered or dead-lettered.
        deliveries: IntCounterVec = "wahook_deliveries_total" ["endpoint", "result"];
        /// Seconds from the acceptance of an event to its successful delivery.
        end_to_end: HistogramVec = "wahook_delivery_end_to_end_seconds" ["endpoint"] in END_TO_END_SECONDS;
        /// Scheduled retries by delay in milliseconds.
        retries_scheduled: IntCounterVec = "wahook_retries_scheduled_total" ["endpoint", "delay"];
        /// Deliveries in flight.
        deliveries_in_flight: IntGaugeVec = "wahook_deliveries_in_flight" ["endpoint"];
        /// Maximum number of deliveries in flight (WEBHOOK_CONCURRENCY).
        delivery_limit: IntGaugeVec = "wahook_delivery_limit" ["endpoint"];
        /// 1 while the circuit of an endpoint is open: deliveries are paused and its events wait
        /// in the broker; else 0.
        circuit_open: IntGaugeVec = "wahook_circuit_open" ["endpoint"];
        /// Number of times the circuit of an endpoint opened.
        circuit_opened: IntCounterVec = "wahook_circuit_opened_total" ["endpoint"];
        /// Probes of a paused endpoint by result: delivered or failed.
        probes: IntCounterVec = "wahook_probes_total" ["endpoint", "result"];
        /// Events requeued without a counted attempt because their endpoint is paused or not
        /// enabled.
        put_back: IntCounterVec = "wahook_events_put_back_total" ["endpoint"];
        /// Reloads of the endpoints file by result: applied, or refused because of faults.
        reloads: IntCounterVec = "wahook_reloads_total" ["result"];
        /// Redelivered events by action: attempted, or skipped because the log already had the
        /// attempt.
        events_redelivered: IntCounterVec = "wahook_events_redelivered_total" ["endpoint", "action"];
        /// Messages dead-lettered because they could not be decoded.
        poison_messages: IntCounter = "wahook_poison_messages_total";
        /// Seconds per batch written to the log.
        log_write: Histogram = "wahook_log_write_seconds" in LOG_WRITE_SECONDS;
        /// Batches that could not be written to the log.
        log_write_errors: IntCounter = "wahook_log_write_errors_total";
        /// Seconds from the end of an attempt until its result is durable in the log.
        log_lag: Histogram = "wahook_log_lag_seconds" in LOG_LAG_SECONDS;
        /// Results by their path to the log: direct; spilled to the results queue while the log
        /// is unavailable; drained from there into the log.
        log_results: IntCounterVec = "wahook_log_results_total" ["path"];
        /// Results in this program that wait for the log or the results queue.
        log_results_pending: IntGauge = "wahook_log_results_pending";
        /// 1 while results can be written to the log, else 0.
        log_available: IntGauge = "wahook_log_available";
    }
}
