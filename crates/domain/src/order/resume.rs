//! Continuation of a delivery by the next owner of its lane.

use std::time::Duration;

use crate::{
    delivery::QueuedEvent,
    record::{Attempt, DeliveryRecord},
    retry::RetryRule,
    time::UnixMillis,
};

/// State of a redelivered event by its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// No attempt is recorded: the event starts as it is.
    Untried,
    /// The event is delivered or dead-lettered: its message needs only an ack.
    Ended,
    /// The event for the next attempt.
    Next {
        event: Box<QueuedEvent>,
        /// Earliest time of the attempt.
        due: UnixMillis,
        /// Time between the last attempt and the next one.
        wait: Duration,
    },
}

impl DeliveryRecord {
    /// Returns how the delivery of a redelivered event goes on. Its message has the state
    /// of the first attempt, since retries in a lane are not published.
    ///
    /// The record does not say whether an attempt counted. One that is followed by the wait
    /// of `rule` did; any other is made again, so that none is lost.
    #[must_use]
    pub fn resume(&self, event: &QueuedEvent, rule: &RetryRule) -> Resume {
        // The record may have attempts of another event with the same id.
        let is_first = event.accepted_at == self.created_at;
        let own = |made: &Attempt| match is_first {
            true => !made.other_event,
            false => made.queued_at >= event.queued_at(),
        };
        let mut own_attempts = self.attempts().iter().filter(|made| own(made));
        if own_attempts.any(Attempt::is_success) && !event.is_redelivery {
            return Resume::Ended;
        }
        let is_of_message = |made: &&Attempt| {
            own(made) && (made.queued_at, made.number) >= (event.queued_at(), event.attempt)
        };
        let Some(last) = self.attempts().iter().rfind(is_of_message) else {
            return Resume::Untried;
        };
        let Some(due) = last.next_attempt_at else {
            return Resume::Ended;
        };
        let wait = due.since(last.ended_at());
        let counted = rule
            .wait_after(last.number)
            .is_some_and(|step| step.duration() == wait);
        let tried = event.in_round(last);
        let event = if counted {
            tried.next_attempt()
        } else {
            tried.in_new_round(last.ended_at())
        };
        Resume::Next {
            event: Box::new(event),
            due,
            wait,
        }
    }
}

impl QueuedEvent {
    /// Returns the event for the next attempt of its round.
    #[must_use]
    pub fn next_attempt(mut self) -> Self {
        self.attempt = self.attempt.next();
        self
    }

    /// Returns the event for the same attempt in a new round, distinct from the attempt
    /// that was just made.
    #[must_use]
    pub fn in_new_round(mut self, now: UnixMillis) -> Self {
        // Clocks of several machines may differ, but rounds must stay in order.
        let after = self.queued_at().plus(Duration::from_millis(1));
        self.redriven_at = Some(now.max(after));
        self
    }

    /// Returns the event as it was at this attempt.
    fn in_round(&self, made: &Attempt) -> Self {
        let is_first = made.queued_at == self.accepted_at;
        Self {
            attempt: made.number,
            redriven_at: (!is_first).then_some(made.queued_at),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::{
        AttemptNumber, AttemptResult, EndpointName, EventBody, EventId, EventName, Original,
    };

    fn number(number: u32) -> AttemptNumber {
        AttemptNumber::new(number).unwrap()
    }

    fn rule() -> RetryRule {
        RetryRule::new(3, 5_000).unwrap()
    }

    fn event() -> QueuedEvent {
        let body = br#"{"event":"ping","data":{},"timestamp":1}"#;
        QueuedEvent::new(
            EventId::parse("evt-1").unwrap(),
            EventName::parse("ping").unwrap(),
            EventBody::check(Bytes::from_static(body)).unwrap(),
            UnixMillis::new(900),
        )
    }

    /// Record of failed attempts: round, number, and wait until the next one.
    fn record(attempts: &[(i64, u32, Option<i64>)]) -> DeliveryRecord {
        let result = |(queued_at, attempt, wait): &(i64, u32, Option<i64>)| AttemptResult {
            event_id: event().id,
            endpoint: EndpointName::default(),
            event: event().name,
            body: event().body,
            accepted_at: event().accepted_at,
            origin: None,
            original: Original::Same,
            attempt: Attempt {
                queued_at: UnixMillis::new(*queued_at),
                number: number(*attempt),
                started_at: UnixMillis::new(1_000),
                duration_ms: 50,
                status_code: Some(500),
                error: Some("answered 500".to_owned()),
                response: None,
                other_event: false,
                next_attempt_at: wait.map(|wait| UnixMillis::new(1_050 + wait)),
                webhook_url: Arc::from("https://example.com/hook"),
            },
        };
        let mut record = DeliveryRecord::first(&result(&attempts[0]));
        attempts.iter().for_each(|made| record.merge(&result(made)));
        record
    }

    fn next(attempts: &[(i64, u32, Option<i64>)]) -> (u32, Option<i64>, i64) {
        next_by(&rule(), attempts)
    }

    fn next_by(rule: &RetryRule, attempts: &[(i64, u32, Option<i64>)]) -> (u32, Option<i64>, i64) {
        match record(attempts).resume(&event(), rule) {
            Resume::Next { event, due, wait } => {
                assert!(!wait.is_zero());
                let round = event.redriven_at.map(UnixMillis::get);
                (event.attempt.get(), round, due.get())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn counted_attempts_are_continued_with_the_next_number_when_it_is_due() {
        assert_eq!(next(&[(900, 1, Some(5_000))]), (2, None, 6_050));
        let two = [(900, 1, Some(5_000)), (900, 2, Some(10_000))];
        assert_eq!(next(&two), (3, None, 11_050));
    }

    #[test]
    fn held_event_is_continued_beyond_the_schedule_and_ends_once_the_rule_does_not_hold() {
        let held = [(900, 4, Some(20_000)), (900, 5, Some(20_000))];
        assert_eq!(next_by(&rule().holding(), &held), (6, None, 21_050));
        // One more attempt is made, after which the retries are exhausted.
        assert_eq!(next(&held), (5, Some(1_050), 21_050));
        assert_eq!(rule().wait_after(number(5)), None);
    }

    #[test]
    fn attempt_that_did_not_count_is_made_again_in_a_new_round() {
        assert_eq!(next(&[(900, 1, Some(3_000))]), (1, Some(1_050), 4_050));
        let rounds = [(900, 1, Some(3_000)), (1_050, 1, Some(5_000))];
        assert_eq!(next(&rounds), (2, Some(1_050), 6_050));
        let rounds = [(900, 1, Some(3_000)), (1_050, 1, Some(1))];
        assert_eq!(next(&rounds), (1, Some(1_051), 1_051));
    }

    #[test]
    fn ended_delivery_needs_only_an_ack_and_a_redriven_one_starts_anew() {
        let exhausted = record(&[(900, 1, Some(5_000)), (900, 2, None)]);
        assert_eq!(exhausted.resume(&event(), &rule()), Resume::Ended);
        let redriven = event().in_new_round(UnixMillis::new(90_000));
        assert_eq!(exhausted.resume(&redriven, &rule()), Resume::Untried);
    }

    #[test]
    fn event_with_the_id_of_a_delivered_one_is_attempted() {
        let mut delivered = record(&[(900, 1, None)]);
        for attempt in &mut delivered.attempts {
            attempt.error = None;
        }
        assert_eq!(delivered.resume(&event(), &rule()), Resume::Ended);
        let accepted_at = UnixMillis::new(700_000);
        let later = QueuedEvent {
            accepted_at,
            ..event()
        };
        assert_eq!(delivered.resume(&later, &rule()), Resume::Untried);
        // With an attempt of its own that failed.
        let mut failed = record(&[(700_000, 1, Some(5_000))]);
        failed.created_at = accepted_at;
        delivered.absorb(&failed);
        let Resume::Next { event: next, .. } = delivered.resume(&later, &rule()) else {
            panic!("{delivered:?}");
        };
        assert_eq!(next.attempt, number(2));
        assert_eq!(delivered.resume(&event(), &rule()), Resume::Ended);
    }

    #[test]
    fn redelivery_of_a_delivered_event_is_attempted_once() {
        let mut delivered = record(&[(900, 1, Some(5_000)), (900, 2, None)]);
        for attempt in &mut delivered.attempts {
            attempt.error = None;
        }
        let again = QueuedEvent {
            is_redelivery: true,
            ..event().in_new_round(UnixMillis::new(90_000))
        };
        assert_eq!(delivered.resume(&again, &rule()), Resume::Untried);
        delivered.absorb(&record(&[(90_000, 1, None)]));
        assert_eq!(delivered.resume(&again, &rule()), Resume::Ended);
    }
}
