//! Path of one message through the consumer, from the broker's bytes to the log's bytes.
//!
//! Follows `consumer/src/delivery.rs` step by step, over the same functions: decode and check,
//! headers with both signatures, evaluation of the answer, retry decision, retry message,
//! metrics, result, and the command that carries results to MongoDB. Excluded: the HTTP client
//! and its connections, lapin's frames and thread, the tasks and channels between the steps,
//! the circuit breaker and the rate limit, the driver's own copies of a command, broker and
//! database.

use std::{hint::black_box, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use prometheus::Registry;
use reqwest::{StatusCode, header::HeaderMap};
use wahook_consumer::{
    classify,
    metrics::{ConsumerMetrics, EndpointMetrics},
    put_headers,
};
use wahook_domain::{
    Attempt, AttemptNumber, AttemptResult, BodyForm, Decision, EndpointName, Original, Outcome,
    QueuedEvent, RetryRule, Signer, UnixMillis,
};
use wahook_mongo_log::commands;
use wahook_queue::Outgoing;
use wahook_runtime::metrics::InFlightGuard;

use crate::{
    fixed::{self, NOW},
    wire::Carried,
};

/// Results per write to the log.
pub const BATCH: usize = 64;

/// Assumed duration of each request.
const TOOK: Duration = Duration::from_millis(12);
/// Header capacity to reserve, as in the consumer.
const HEADERS: usize = 12;

/// Answer of a webhook.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
}

impl Answer {
    /// Returns a 200 without headers.
    #[must_use]
    pub fn taken() -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
        }
    }

    /// Returns a 503.
    #[must_use]
    pub fn unavailable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            headers: HeaderMap::new(),
        }
    }
}

/// Consumer of one endpoint, without sockets.
pub struct Delivery {
    endpoint: EndpointName,
    shown_url: Arc<str>,
    signer: Signer,
    retry_rule: RetryRule,
    metrics: EndpointMetrics,
}

impl Delivery {
    /// Builds a consumer with one secret and the default retry rule.
    ///
    /// # Errors
    /// Never: all values are valid.
    pub fn new() -> anyhow::Result<Self> {
        let endpoint = EndpointName::default();
        let retry_rule = RetryRule::new(3, 5_000)?;
        let metrics = ConsumerMetrics::new(&Registry::new())?.endpoint(&endpoint);
        Ok(Self {
            endpoint,
            shown_url: "https://example.com/webhook".into(),
            signer: fixed::signer()?,
            retry_rule,
            metrics,
        })
    }

    /// Delivers one message and returns its result for the log.
    ///
    /// # Errors
    /// If the message cannot be decoded.
    pub fn deliver(&self, message: &Carried, answer: &Answer) -> anyhow::Result<AttemptResult> {
        let event = message.read()?;
        let in_flight = InFlightGuard::new(&self.metrics.in_flight);
        if event.attempt == AttemptNumber::FIRST {
            self.metrics.first_begun(NOW.since(event.queued_at()));
        }
        black_box(self.request(&event));
        let outcome = classify(answer.status, &answer.headers, NOW);
        drop(in_flight);
        self.metrics.attempted(&outcome, event.attempt, TOOK);
        self.conclude(event, &outcome)
    }

    /// Returns the headers and the body of the request.
    #[must_use]
    pub fn request(&self, event: &QueuedEvent) -> (HeaderMap, Bytes) {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        put_headers(
            &mut headers,
            event,
            BodyForm::Canonical,
            Some(&self.signer),
            NOW,
        );
        (headers, event.body.bytes())
    }

    fn conclude(&self, event: QueuedEvent, outcome: &Outcome) -> anyhow::Result<AttemptResult> {
        let decision = self.decide(event.attempt, outcome);
        let ended_at = NOW.plus(TOOK);
        let mut next_attempt_at = None;
        if let Decision::RetryAfter(step) = decision {
            next_attempt_at = Some(ended_at.plus(step.duration()));
            let retry = Outgoing::retry(&event, &self.endpoint, step);
            black_box(Carried::write(retry)?);
            self.metrics.retry_scheduled(event.attempt, step);
        }
        if decision == Decision::Delivered {
            self.metrics.delivered(ended_at.since(event.queued_at()));
        }
        let error = outcome.error_message();
        Ok(self.result(event, outcome.status_code(), error, next_attempt_at))
    }

    /// Returns the retry decision.
    #[must_use]
    pub fn decide(&self, attempt: AttemptNumber, outcome: &Outcome) -> Decision {
        self.retry_rule.decide(attempt, outcome)
    }

    /// Counts one delivery that succeeds at the first attempt.
    pub fn count(&self, outcome: &Outcome) {
        drop(InFlightGuard::new(&self.metrics.in_flight));
        self.metrics.first_begun(TOOK);
        self.metrics.attempted(outcome, AttemptNumber::FIRST, TOOK);
        self.metrics.delivered(TOOK);
    }

    fn result(
        &self,
        event: QueuedEvent,
        status_code: Option<u16>,
        error: Option<String>,
        next_attempt_at: Option<UnixMillis>,
    ) -> AttemptResult {
        let queued_at = event.queued_at();
        AttemptResult {
            event_id: event.id,
            endpoint: self.endpoint.clone(),
            event: event.name,
            body: event.body,
            accepted_at: event.accepted_at,
            origin: None,
            original: event.exact.map_or(Original::Same, Original::Exact),
            attempt: Attempt {
                queued_at,
                number: event.attempt,
                started_at: NOW,
                duration_ms: TOOK.as_millis().try_into().unwrap_or(i64::MAX),
                status_code,
                error,
                next_attempt_at,
                webhook_url: Arc::clone(&self.shown_url),
                response: None,
                other_event: false,
            },
        }
    }
}

/// Returns the number of bytes that carry these results to MongoDB.
///
/// # Errors
/// Never: the results are valid BSON.
pub fn written(results: &[AttemptResult]) -> anyhow::Result<usize> {
    let commands = commands(results).context("cannot build the log's commands")?;
    Ok(commands
        .iter()
        .map(|command| command.as_bytes().len())
        .sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempted(answer: &Answer) -> AttemptResult {
        let event = fixed::queued(&fixed::event(1, fixed::USUAL)).unwrap();
        let message = Carried::write(Outgoing::event(&event)).unwrap();
        Delivery::new().unwrap().deliver(&message, answer).unwrap()
    }

    #[test]
    fn an_answer_200_ends_a_delivery() {
        let result = attempted(&Answer::taken());
        assert_eq!(result.attempt.status_code, Some(200));
        assert_eq!(result.attempt.next_attempt_at, None);
        assert!(written(&[result]).unwrap() > fixed::USUAL);
    }

    #[test]
    fn failed_attempt_sets_the_next_one() {
        let result = attempted(&Answer::unavailable());
        let retry = NOW.plus(TOOK).plus(Duration::from_secs(5));
        assert_eq!(result.attempt.next_attempt_at, Some(retry));
        assert_eq!(result.attempt.error.as_deref(), Some("answered 503"));
    }

    #[test]
    fn a_request_has_both_signatures() {
        let event = fixed::queued(&fixed::event(1, fixed::USUAL)).unwrap();
        let (headers, body) = Delivery::new().unwrap().request(&event);
        assert!(headers.contains_key("x-webhook-signature"));
        assert!(headers.contains_key("webhook-signature"));
        assert_eq!(body.len(), fixed::USUAL);
    }
}
