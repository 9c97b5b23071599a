//! Metric families of the consumer.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use wahook_runtime::families;

// Three histograms of each endpoint make most of the series of a consumer: their buckets are as
// few as the dashboards and alerts need. The bounds are those of earlier versions, so that
// quantiles over consumers of both stay correct.

/// The time limit of an attempt is 30 s by default, so timed-out attempts are above the last one.
const ATTEMPT_SECONDS: &[f64] = &[0.01, 0.05, 0.25, 1.0, 5.0, 30.0];

/// With the default retry rule an event is delivered or dead-lettered after at most
/// 4 × 30 s of attempts and 35 s of waiting. The first retry is after 5 s, the last one before 60 s
/// unless attempts time out.
const END_TO_END_SECONDS: &[f64] = &[0.05, 0.5, 5.0, 60.0, 180.0];

/// Milliseconds while consumers keep up; hours after an outage of all of them. The alert
/// `WahookQueueAge` compares with 60 s.
const QUEUE_WAIT_SECONDS: &[f64] = &[0.025, 0.5, 5.0, 60.0, 300.0, 3600.0];

const LOG_WRITE_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Milliseconds as a rule; minutes after an outage of the log.
const LOG_LAG_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];

families! {
    /// Families of the consumer and the delivery log.
    ConsumerFamilies {
        /// Delivery attempts by outcome and number: 1 is the first, more are all after the fourth.
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
        /// Scheduled retries by delay in milliseconds; more are all after the third.
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
        /// 1 while an operator has paused an endpoint: nothing is sent and its events wait in the
        /// broker; else 0.
        paused: IntGaugeVec = "wahook_endpoint_paused" ["endpoint"];
        /// Probes of a paused endpoint by result: delivered or failed.
        probes: IntCounterVec = "wahook_probes_total" ["endpoint", "result"];
        /// Events requeued without a counted attempt because their endpoint is paused, not enabled
        /// or too busy.
        republished: IntCounterVec = "wahook_events_put_back_total" ["endpoint"];
        /// 1 if this consumer owns the lane, which it learns by the lane's first message; else 0.
        /// Exists once it was 1, and so do the other gauges of a lane once they were above 0.
        lane_owned: IntGaugeVec = "wahook_lane_owned" ["endpoint", "lane"];
        /// Events in memory of a lane's owner: in flight, or waiting for others of their key.
        lane_events: IntGaugeVec = "wahook_lane_events" ["endpoint", "lane"];
        /// Keys in a lane whose first event waits for its next attempt, and blocks the others.
        lane_blocked_keys: IntGaugeVec = "wahook_lane_blocked_keys" ["endpoint", "lane"];
        /// Keys in a lane whose first event is held: its retries are exhausted, and it is retried
        /// until it is delivered or an operator gives it up.
        lane_held_keys: IntGaugeVec = "wahook_lane_held_keys" ["endpoint", "lane"];
        /// Keys in a lane whose events are parked in slots, because the first one fails or takes
        /// long. A lane has four slots, for one key each. Exists while it is above 0.
        lane_parked_keys: IntGaugeVec = "wahook_lane_parked_keys" ["endpoint", "lane"];
        /// Events in a lane's parking slots that are not in its owner's memory. Exists while it is
        /// above 0.
        lane_parked_events: IntGaugeVec = "wahook_lane_parked_events" ["endpoint", "lane"];
        /// Events dropped by an endpoint's filter of sources, sessions or chats.
        filtered: IntCounterVec = "wahook_events_filtered_total" ["endpoint"];
        /// Queued events of endpoints that are not configured, which no consumer delivers. At
        /// most 20 endpoints, the others together as (others).
        stranded_messages: IntGaugeVec = "wahook_endpoint_stranded_messages" ["endpoint"];
        /// Reloads of the endpoints file by result: applied, or refused because of faults.
        reloads: IntCounterVec = "wahook_reloads_total" ["result"];
        /// Redelivered events by action: attempted, or skipped because the log already had the
        /// attempt or this consumer completed it meanwhile.
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
