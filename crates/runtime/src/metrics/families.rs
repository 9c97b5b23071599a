//! Every metric family there is. Dashboards and alerts rest on these names,
//! so a rename is a breaking change.
//!
//! Labels have few values, all known in advance: an endpoint's configured
//! name, an outcome's class, a number of an attempt. Never an address, an id or
//! anything else that a client chooses.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::declare::families;

/// A confirm takes about 1 ms on an idle broker, and publishing gives up
/// within 10 s.
const CONFIRM_SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The time limit of an attempt is 30 s by default, so what ran into it falls
/// between the last two.
const ATTEMPT_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 35.0,
];

/// With the default retry rule an event is delivered or dead after at most
/// 4 × 30 s of attempts and 35 s of waiting.
const END_TO_END_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 180.0,
];

const LOG_WRITE_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Milliseconds while consumers keep up; hours after they were all away.
const QUEUE_WAIT_SECONDS: &[f64] = &[
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0,
    14_400.0,
];

/// Milliseconds as a rule; minutes after the log was away.
const LOG_LAG_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];

families! {
    /// About any program.
    ProcessFamilies {
        /// Always 1; its labels name the program and its version.
        build_info: IntGaugeVec = "wahook_build_info" ["program", "version"];
    }
}

families! {
    /// About a program's connections to RabbitMQ.
    BrokerFamilies {
        /// Whether the connection to RabbitMQ is up (1) or not (0).
        connection_up: IntGaugeVec = "wahook_connection_up" ["connection"];
        /// Connections to RabbitMQ that were made anew after one was lost.
        reconnects: IntCounterVec = "wahook_reconnects_total" ["connection"];
        /// Whether RabbitMQ blocks publishers (1), for a memory or disk alarm, or not (0).
        blocked: IntGauge = "wahook_broker_blocked";
        /// Times that RabbitMQ began to block publishers.
        blocked_total: IntCounter = "wahook_broker_blocked_total";
    }
}

families! {
    /// About the events that come in.
    ProducerFamilies {
        /// Events answered 202 that the broker has confirmed, for one endpoint or more.
        events_accepted: IntCounter = "wahook_events_accepted_total";
        /// Events answered 202 that no endpoint wants, and so are delivered to nobody.
        events_unwanted: IntCounter = "wahook_events_unwanted_total";
        /// Events answered 200 and not published again: the same event was accepted within
        /// the last ten minutes.
        events_duplicate: IntCounter = "wahook_events_duplicate_total";
        /// Events that were refused, by the reason; the gateway may send them again.
        events_refused: IntCounterVec = "wahook_events_refused_total" ["reason"];
        /// Deviations from the documented event format that lenient validation let pass.
        event_warnings: IntCounter = "wahook_event_warnings_total";
        /// Batches of events that were received.
        batches: IntCounter = "wahook_batches_total";
        /// Seconds from the publish of an event to the broker's confirm.
        publish_confirm: Histogram = "wahook_publish_confirm_seconds" in CONFIRM_SECONDS;
        /// Requests that are being worked on.
        requests_in_flight: IntGauge = "wahook_requests_in_flight";
    }
}

families! {
    /// About the deliveries that go out, and their log.
    ConsumerFamilies {
        /// Attempts to deliver, by what came of each and its number (1 is the first).
        attempts: IntCounterVec = "wahook_attempts_total" ["endpoint", "outcome", "attempt"];
        /// Seconds that an attempt took, from the connect to the end of the answer.
        attempt_duration: HistogramVec = "wahook_attempt_duration_seconds" ["endpoint"] in ATTEMPT_SECONDS;
        /// Seconds that an event waited in the queue, from its acceptance (or redrive) to the start
        /// of its first attempt.
        queue_wait: HistogramVec = "wahook_queue_wait_seconds" ["endpoint"] in QUEUE_WAIT_SECONDS;
        /// Deliveries that ended, delivered or dead-lettered.
        deliveries: IntCounterVec = "wahook_deliveries_total" ["endpoint", "result"];
        /// Seconds from the acceptance of an event to its successful delivery.
        end_to_end: HistogramVec = "wahook_delivery_end_to_end_seconds" ["endpoint"] in END_TO_END_SECONDS;
        /// Retries that were scheduled, by their delay in milliseconds.
        retries_scheduled: IntCounterVec = "wahook_retries_scheduled_total" ["endpoint", "delay"];
        /// Deliveries that are being worked on.
        deliveries_in_flight: IntGaugeVec = "wahook_deliveries_in_flight" ["endpoint"];
        /// The most deliveries that are worked on at once (WEBHOOK_CONCURRENCY).
        delivery_limit: IntGaugeVec = "wahook_delivery_limit" ["endpoint"];
        /// Whether an endpoint is taken to be down (1), so that its events wait in the broker,
        /// or not (0).
        circuit_open: IntGaugeVec = "wahook_circuit_open" ["endpoint"];
        /// Times that an endpoint was taken to be down.
        circuit_opened: IntCounterVec = "wahook_circuit_opened_total" ["endpoint"];
        /// Probes of an endpoint that is taken to be down: delivered or failed.
        probes: IntCounterVec = "wahook_probes_total" ["endpoint", "result"];
        /// Events that went back to their queue because their endpoint is down or not enabled;
        /// no attempt was counted against them.
        put_back: IntCounterVec = "wahook_events_put_back_total" ["endpoint"];
        /// Times that the file of endpoints was read again: applied, or refused for its faults.
        reloads: IntCounterVec = "wahook_reloads_total" ["result"];
        /// Events that the broker handed out again, by what was done: attempted, or skipped
        /// because the log already had the attempt.
        events_redelivered: IntCounterVec = "wahook_events_redelivered_total" ["endpoint", "action"];
        /// Messages that could not be decoded and went to the dead-letter queue.
        poison_messages: IntCounter = "wahook_poison_messages_total";
        /// Seconds that one batch took to be written to the log.
        log_write: Histogram = "wahook_log_write_seconds" in LOG_WRITE_SECONDS;
        /// Batches that the log did not take.
        log_write_errors: IntCounter = "wahook_log_write_errors_total";
        /// Seconds from the end of an attempt until its result was durable in the log.
        log_lag: Histogram = "wahook_log_lag_seconds" in LOG_LAG_SECONDS;
        /// Results by their way to the log: direct; spilled to the results queue while the log
        /// was away; drained from there into the log.
        log_results: IntCounterVec = "wahook_log_results_total" ["path"];
        /// Results that wait in this program for the log or the results queue.
        log_results_pending: IntGauge = "wahook_log_results_pending";
        /// Whether the log takes results (1) or not (0).
        log_available: IntGauge = "wahook_log_available";
    }
}
