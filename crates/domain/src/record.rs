//! Delivery records, as the log stores them.
//!
//! Every property of a record is derived from the set of its attempts. Results
//! may therefore arrive in any order, any number of times, from any process: the
//! record is the same.

use std::sync::Arc;

use crate::{
    body::EventBody,
    delivery::{AttemptNumber, QueuedEvent},
    endpoint::EndpointName,
    event::EventName,
    id::EventId,
    origin::Origin,
    sent::Original,
    time::UnixMillis,
};

/// Result of one POST.
///
/// Attempts are ordered by their fields: first the round, then the number; the
/// other fields order two attempts with one number, which a redelivered message
/// causes. The log compares stored attempts in the same order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// Start of its round of attempts: see
    /// [`QueuedEvent::queued_at`](crate::QueuedEvent::queued_at).
    pub queued_at: UnixMillis,
    /// Number within its round.
    pub number: AttemptNumber,
    pub started_at: UnixMillis,
    pub duration_ms: i64,
    /// Status code of the response, if there was one.
    pub status_code: Option<u16>,
    /// Error message; `None` when the event was delivered.
    pub error: Option<String>,
    /// Due time of the next attempt. `None` together with an error: none follows.
    pub next_attempt_at: Option<UnixMillis>,
    /// URL of the endpoint, with secrets redacted.
    pub webhook_url: Arc<str>,
    /// Start of the response's body, for people who look for the cause of a failure. `None` for
    /// a success, an empty body, and in results of older versions.
    pub response: Option<Arc<str>>,
    /// True if the attempt sent another event with the same id, whose payload the record does
    /// not have. Set by the log.
    pub other_event: bool,
}

impl Attempt {
    /// Creates the attempt of an event that begins at this time, to this URL: without an answer, an
    /// error or a next attempt.
    #[must_use]
    pub fn begun(event: &QueuedEvent, started_at: UnixMillis, webhook_url: Arc<str>) -> Self {
        Self {
            queued_at: event.queued_at(),
            number: event.attempt,
            started_at,
            duration_ms: 0,
            status_code: None,
            error: None,
            next_attempt_at: None,
            webhook_url,
            response: None,
            other_event: false,
        }
    }

    /// Returns true if the attempt delivered the event.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.error.is_none()
    }

    /// Returns the end of the attempt.
    #[must_use]
    pub const fn ended_at(&self) -> UnixMillis {
        UnixMillis::new(self.started_at.get().saturating_add(self.duration_ms))
    }
}

/// Attempt, with the data that a new record needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptResult {
    pub event_id: EventId,
    pub endpoint: EndpointName,
    pub event: EventName,
    pub body: EventBody,
    /// Time at which the producer accepted the event.
    pub accepted_at: UnixMillis,
    /// Source, if a gateway posted the event in its own form.
    pub origin: Option<Arc<Origin>>,
    /// Body that endpoints receive, if it is another one.
    pub original: Original,
    pub attempt: Attempt,
}

impl AttemptResult {
    /// Creates the result of an attempt of an event at an endpoint.
    #[must_use]
    pub fn of(event: &QueuedEvent, endpoint: EndpointName, attempt: Attempt) -> Self {
        Self {
            event_id: event.id.clone(),
            endpoint,
            event: event.name.clone(),
            body: event.body.clone(),
            accepted_at: event.accepted_at,
            origin: event.origin.clone(),
            original: event.exact.clone().map_or(Original::Same, Original::Exact),
            attempt,
        }
    }
}

/// Status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Another attempt is due.
    Retrying,
    /// The event is delivered. The status is final.
    Success,
    /// No attempt is left.
    Failed,
}

impl Status {
    /// Returns the name that the log stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retrying => "retrying",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// Parses a name that the log stores.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Retrying, Self::Success, Self::Failed];
        all.into_iter().find(|status| status.as_str() == name)
    }
}

/// Delivery of one event to one endpoint.
///
/// A gateway can use one id for two events. The record then has the name and payload of the one
/// that was recorded first, and marks the attempts of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    pub event_id: EventId,
    pub endpoint: EndpointName,
    pub event: EventName,
    /// Time of acceptance: the earliest of all results.
    pub created_at: UnixMillis,
    /// Attempts in ascending order, without duplicates, at least one; of more than
    /// [`MAX_KEPT`](Self::MAX_KEPT) the first, the newest and the successful ones.
    pub attempts: Vec<Attempt>,
}

impl DeliveryRecord {
    /// First attempts that are kept.
    pub const FIRST_KEPT: usize = 20;
    /// Number of attempts up to which all are kept. A held event has no last attempt, and a
    /// document of MongoDB at most 16 MiB.
    pub const MAX_KEPT: usize = 200;

    /// Creates a record from its first result.
    #[must_use]
    pub fn first(result: &AttemptResult) -> Self {
        Self {
            event_id: result.event_id.clone(),
            endpoint: result.endpoint.clone(),
            event: result.event.clone(),
            created_at: result.accepted_at,
            attempts: vec![result.attempt.clone()],
        }
    }

    /// Adds a result. A result of another event or endpoint is ignored.
    pub fn merge(&mut self, result: &AttemptResult) {
        if result.event_id != self.event_id || result.endpoint != self.endpoint {
            return;
        }
        self.created_at = self.created_at.min(result.accepted_at);
        self.add(&result.attempt);
    }

    /// Returns true if the result may be of another event with the same id; their payloads
    /// decide. All results of an event have the same time of acceptance.
    #[must_use]
    pub fn may_mix(&self, result: &AttemptResult) -> bool {
        self.created_at != result.accepted_at
            || self.event != result.event
            || self.attempts.iter().any(|attempt| attempt.other_event)
    }

    /// Adds the attempts of another record of this delivery. A record of another
    /// event or endpoint is ignored.
    pub fn absorb(&mut self, other: &Self) {
        if other.event_id != self.event_id || other.endpoint != self.endpoint {
            return;
        }
        self.created_at = self.created_at.min(other.created_at);
        other.attempts.iter().for_each(|attempt| self.add(attempt));
    }

    fn add(&mut self, attempt: &Attempt) {
        if let Err(place) = self.attempts.binary_search(attempt) {
            self.attempts.insert(place, attempt.clone());
            self.trim();
        }
    }

    /// Removes attempts in the middle. An attempt that is removed is not among the first or
    /// the newest of any greater set, so the order of the results does not matter.
    fn trim(&mut self) {
        let Some(removed) = self.attempts.len().checked_sub(Self::MAX_KEPT) else {
            return;
        };
        let middle = Self::FIRST_KEPT..Self::FIRST_KEPT + removed;
        let mut index = 0..;
        self.attempts.retain(|attempt| {
            let is_kept = index.next().is_none_or(|index| !middle.contains(&index));
            is_kept || attempt.is_success()
        });
    }

    /// Returns all attempts in ascending order.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Returns true if this attempt of the event, or a later one of its round, is
    /// concluded. Its consequences are then durable, and a message that requests it
    /// again only has to be settled. So has every message of a delivered event, except a
    /// redelivery. An event that was accepted at another time may be another one with the
    /// same id: only its own attempts count.
    #[must_use]
    pub fn covers(&self, event: &QueuedEvent) -> bool {
        let concluded =
            |known: &Attempt| known.queued_at == event.queued_at() && known.number >= event.attempt;
        let is_same = event.accepted_at == self.created_at;
        let is_delivered = self.status() == Status::Success && !event.is_redelivery;
        (is_delivered && is_same) || self.attempts.iter().any(concluded)
    }

    /// Returns true if this record has everything of another record of this delivery.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        let has = |attempt| self.attempts.binary_search(attempt).is_ok();
        self.event_id == other.event_id
            && self.endpoint == other.endpoint
            && self.created_at <= other.created_at
            && other.attempts.iter().all(has)
    }

    /// Returns the status of the delivery.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.deciding_attempt() {
            Some(attempt) if attempt.is_success() => Status::Success,
            Some(attempt) if attempt.next_attempt_at.is_none() => Status::Failed,
            _ => Status::Retrying,
        }
    }

    /// Returns the status code of the deciding attempt.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        self.deciding_attempt()?.status_code
    }

    /// Returns the number of retries in the round up to the deciding attempt.
    #[must_use]
    pub fn retry_count(&self) -> u32 {
        self.deciding_attempt()
            .map_or(0, |attempt| attempt.number.retries())
    }

    /// Returns the error of the deciding attempt; `None` when the event is delivered.
    #[must_use]
    pub fn error_message(&self) -> Option<&str> {
        self.deciding_attempt()?.error.as_deref()
    }

    /// Returns the URL of the deciding attempt.
    #[must_use]
    pub fn webhook_url(&self) -> &str {
        self.deciding_attempt()
            .map_or("", |attempt| &attempt.webhook_url)
    }

    /// Returns the due time of the next attempt, if there is one.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<UnixMillis> {
        self.deciding_attempt()?.next_attempt_at
    }

    /// Returns the wait before the next attempt, in milliseconds.
    #[must_use]
    pub fn wait_ms(&self) -> Option<i64> {
        let attempt = self.deciding_attempt()?;
        let due = attempt.next_attempt_at?;
        Some(due.get().saturating_sub(attempt.ended_at().get()))
    }

    /// Returns the end of the last attempt.
    #[must_use]
    pub fn updated_at(&self) -> UnixMillis {
        let ends = self.attempts.iter().map(Attempt::ended_at);
        ends.max().unwrap_or(self.created_at)
    }

    /// Returns the start of the last retry, if there was one.
    #[must_use]
    pub fn last_retry_at(&self) -> Option<UnixMillis> {
        let retries = self
            .attempts
            .iter()
            .filter(|attempt| attempt.number > AttemptNumber::FIRST);
        retries.map(|retry| retry.started_at).max()
    }

    /// Returns the end of the deciding attempt, if no other is due.
    #[must_use]
    pub fn completed_at(&self) -> Option<UnixMillis> {
        match self.status() {
            Status::Retrying => None,
            Status::Success | Status::Failed => self.deciding_attempt().map(Attempt::ended_at),
        }
    }

    /// Returns the deciding attempt: the greatest successful one, else the greatest.
    fn deciding_attempt(&self) -> Option<&Attempt> {
        self.attempts
            .iter()
            .max_by_key(|attempt| (attempt.is_success(), *attempt))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const BODY: &[u8] = br#"{"event":"ping","data":{},"timestamp":1}"#;

    fn failure(number: u32, next_attempt_at: Option<i64>) -> AttemptResult {
        let started_at = i64::from(number) * 1_000;
        AttemptResult {
            event_id: EventId::parse("evt-1").unwrap(),
            endpoint: EndpointName::default(),
            event: EventName::parse("ping").unwrap(),
            body: EventBody::check(Bytes::from_static(BODY)).unwrap(),
            accepted_at: UnixMillis::new(900),
            origin: None,
            original: Original::Same,
            attempt: Attempt {
                queued_at: UnixMillis::new(900),
                number: AttemptNumber::new(number).unwrap(),
                started_at: UnixMillis::new(started_at),
                duration_ms: 50,
                status_code: Some(500),
                error: Some("answered 500".to_owned()),
                next_attempt_at: next_attempt_at.map(UnixMillis::new),
                webhook_url: Arc::from("https://example.com/hook"),
                response: None,
                other_event: false,
            },
        }
    }

    fn success(number: u32) -> AttemptResult {
        let mut result = failure(number, None);
        result.attempt.status_code = Some(200);
        result.attempt.error = None;
        result
    }

    fn record(results: &[AttemptResult]) -> DeliveryRecord {
        let (first, rest) = results.split_first().unwrap();
        let mut record = DeliveryRecord::first(first);
        rest.iter().for_each(|result| record.merge(result));
        record
    }

    fn message(attempt: u32, redriven_at: Option<i64>) -> QueuedEvent {
        let of = success(attempt);
        QueuedEvent {
            attempt: of.attempt.number,
            redriven_at: redriven_at.map(UnixMillis::new),
            ..QueuedEvent::new(of.event_id, of.event, of.body, of.accepted_at)
        }
    }

    #[test]
    fn record_covers_concluded_attempts_of_its_round_and_all_once_delivered() {
        let twice = record(&[failure(1, Some(6_000)), failure(2, Some(16_000))]);
        for (attempt, covered) in [(1, true), (2, true), (3, false)] {
            assert_eq!(twice.covers(&message(attempt, None)), covered, "{attempt}");
        }
        assert!(!twice.covers(&message(1, Some(20_000))), "another round");
        let delivered = record(&[failure(1, Some(6_000)), success(2)]);
        assert!(delivered.covers(&message(3, Some(20_000))));
    }

    #[test]
    fn another_event_with_the_id_of_a_delivered_one_is_covered_only_by_its_own_attempts() {
        let accepted_at = UnixMillis::new(700_000);
        let other = QueuedEvent {
            accepted_at,
            ..message(1, None)
        };
        let mut record = record(&[success(1)]);
        assert!(record.covers(&message(1, None)) && !record.covers(&other));
        let mut result = success(1);
        (result.accepted_at, result.attempt.queued_at) = (accepted_at, accepted_at);
        record.merge(&result);
        assert!(record.covers(&other) && record.covers(&message(1, None)));
    }

    #[test]
    fn redelivery_of_a_delivered_event_is_covered_only_by_attempts_of_its_round() {
        let again = QueuedEvent {
            is_redelivery: true,
            ..message(1, Some(20_000))
        };
        let mut record = record(&[success(1)]);
        assert!(!record.covers(&again));
        let mut attempt = failure(1, None);
        attempt.attempt.queued_at = UnixMillis::new(20_000);
        record.merge(&attempt);
        assert!(record.covers(&again));
        assert_eq!(record.status(), Status::Success);
        assert_eq!(record.attempts().len(), 2);
    }

    #[test]
    fn record_includes_a_record_without_other_attempts() {
        let (one, other) = (failure(1, Some(6_000)), success(2));
        let both = record(&[one.clone(), other.clone()]);
        assert!(both.includes(&both) && both.includes(&record(std::slice::from_ref(&other))));
        assert!(!record(&[one]).includes(&both));
        let mut later = other;
        later.accepted_at = UnixMillis::new(901);
        assert!(both.includes(&record(std::slice::from_ref(&later))));
        assert!(!record(&[later]).includes(&both));
    }

    #[test]
    fn a_failed_attempt_with_a_retry_due_is_retrying() {
        let record = record(&[failure(1, Some(6_050))]);
        assert_eq!(record.status(), Status::Retrying);
        assert_eq!(record.status_code(), Some(500));
        assert_eq!(record.error_message(), Some("answered 500"));
        assert_eq!(record.retry_count(), 0);
        assert_eq!(record.next_attempt_at(), Some(UnixMillis::new(6_050)));
        assert_eq!(record.created_at, UnixMillis::new(900));
        assert_eq!(record.updated_at(), UnixMillis::new(1_050));
        assert_eq!(record.last_retry_at(), None);
        assert_eq!(record.completed_at(), None);
        assert_eq!(record.webhook_url(), "https://example.com/hook");
    }

    #[test]
    fn exhausted_delivery_is_failed() {
        let record = record(&[failure(1, Some(2_000)), failure(2, None)]);
        assert_eq!(record.status(), Status::Failed);
        assert_eq!(record.retry_count(), 1);
        assert_eq!(record.last_retry_at(), Some(UnixMillis::new(2_000)));
        assert_eq!(record.completed_at(), Some(UnixMillis::new(2_050)));
        assert_eq!(record.next_attempt_at(), None);
    }

    #[test]
    fn delivered_record_stays_delivered_after_late_results() {
        let record = record(&[success(2), failure(1, Some(2_000)), failure(3, None)]);
        assert_eq!(record.status(), Status::Success);
        assert_eq!(record.status_code(), Some(200));
        assert_eq!(record.error_message(), None);
        assert_eq!(record.retry_count(), 1);
        assert_eq!(record.completed_at(), Some(UnixMillis::new(2_050)));
        // The later attempt is kept and counts for the timestamps.
        assert_eq!(record.updated_at(), UnixMillis::new(3_050));
        assert_eq!(record.last_retry_at(), Some(UnixMillis::new(3_000)));
        assert_eq!(record.attempts().len(), 3);
    }

    #[test]
    fn a_repeated_result_changes_nothing() {
        let once = record(&[failure(1, Some(2_000)), success(2)]);
        let twice = record(&[success(2), failure(1, Some(2_000)), success(2), success(2)]);
        assert_eq!(once, twice);
    }

    #[test]
    fn a_redriven_delivery_is_retrying_again_and_keeps_its_history() {
        let redriven = |mut result: AttemptResult| {
            result.attempt.queued_at = UnixMillis::new(90_000);
            result
        };
        let exhausted = [failure(1, Some(2_000)), failure(2, None)];
        let again = redriven(failure(1, Some(95_000)));
        let mut record = record(&exhausted);
        record.merge(&again);
        assert_eq!(record.status(), Status::Retrying);
        assert_eq!(record.retry_count(), 0);
        assert_eq!(record.completed_at(), None);
        assert_eq!(record.attempts().len(), 3);
        record.merge(&redriven(success(2)));
        assert_eq!(record.status(), Status::Success);
        assert_eq!(record.retry_count(), 1);
    }

    #[test]
    fn absorbing_a_record_equals_merging_its_results() {
        let mut one = record(&[failure(1, Some(2_000)), failure(3, None)]);
        one.absorb(&record(&[failure(1, Some(2_000)), success(2)]));
        let expected = [failure(1, Some(2_000)), success(2), failure(3, None)];
        assert_eq!(one, record(&expected));
        assert_eq!(record(&expected[..1]).wait_ms(), Some(950));
        assert_eq!(one.wait_ms(), None);
    }

    #[test]
    fn of_many_attempts_the_first_the_newest_and_successes_are_kept_in_any_order_of_results() {
        let last = 3 * u32::try_from(DeliveryRecord::MAX_KEPT).unwrap();
        let mut results: Vec<_> = (1..=last).map(|n| failure(n, Some(1))).collect();
        results[299] = success(300);
        let expected = record(&results);
        let kept = expected.attempts().iter().map(|made| made.number.get());
        let newest = last - 179..=last;
        let all: Vec<_> = (1..=20).chain([300]).chain(newest).collect();
        assert_eq!(kept.collect::<Vec<_>>(), all);
        assert_eq!(expected.status(), Status::Success);
        results.reverse();
        results.rotate_left(77);
        results.extend_from_within(..250);
        assert_eq!(record(&results), expected);
    }

    #[test]
    fn two_posts_of_one_attempt_are_both_kept() {
        let mut again = failure(1, None);
        again.attempt.started_at = UnixMillis::new(1_500);
        let record = record(&[again, failure(1, Some(2_000))]);
        assert_eq!(record.attempts().len(), 2);
        assert_eq!(record.status(), Status::Failed);
    }

    #[test]
    fn a_result_of_another_delivery_changes_nothing() {
        let mut record = record(&[failure(1, None)]);
        let before = record.clone();
        record.merge(&AttemptResult {
            endpoint: EndpointName::parse("crm").unwrap(),
            ..success(2)
        });
        record.merge(&AttemptResult {
            event_id: EventId::parse("evt-2").unwrap(),
            ..success(2)
        });
        assert_eq!(record, before);
    }
}
