//! Property tests: a record does not depend on the order of its results.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not cover shared functions"
)]

use std::sync::Arc;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use wahook_domain::{
    Attempt, AttemptNumber, AttemptResult, DeliveryRecord, EndpointName, EventBody, EventId,
    EventName, Original, Status, UnixMillis,
};

/// Few values for each field, so that results often differ in one field alone.
fn results() -> impl Strategy<Value = AttemptResult> {
    let attempt = (
        (0..2i64, 1..4u32),
        0..3i64,
        0..3i64,
        prop::option::of(200..202u16),
        prop::option::of(prop::sample::select(vec![
            "answered 500",
            "no answer in 30 s",
        ])),
        prop::option::of(0..3i64),
        prop::sample::select(vec!["https://a.example", "https://b.example"]),
    );
    (attempt, 0..3i64).prop_map(|(attempt, accepted_at)| {
        let (place, started_at, duration_ms, status_code, error, next_attempt_at, url) = attempt;
        let (queued_at, number) = place;
        let body = br#"{"event":"ping","data":{},"timestamp":1}"#;
        AttemptResult {
            event_id: EventId::parse("evt-1").unwrap(),
            endpoint: EndpointName::default(),
            event: EventName::parse("ping").unwrap(),
            body: EventBody::check(Bytes::from_static(body)).unwrap(),
            accepted_at: UnixMillis::new(accepted_at),
            origin: None,
            original: Original::Same,
            attempt: Attempt {
                queued_at: UnixMillis::new(queued_at),
                number: AttemptNumber::new(number).unwrap(),
                started_at: UnixMillis::new(started_at),
                duration_ms,
                status_code,
                error: error.map(str::to_owned),
                next_attempt_at: next_attempt_at.map(UnixMillis::new),
                webhook_url: Arc::from(url),
                response: None,
                other_event: false,
            },
        }
    })
}

fn merged<'a>(results: impl IntoIterator<Item = &'a AttemptResult>) -> DeliveryRecord {
    let mut results = results.into_iter();
    let mut record = DeliveryRecord::first(results.next().unwrap());
    results.for_each(|result| record.merge(result));
    record
}

/// The same results in another order, some of them more than once.
fn shuffled_and_repeated() -> impl Strategy<Value = (Vec<AttemptResult>, Vec<AttemptResult>)> {
    vec(results(), 1..8).prop_flat_map(|results| {
        let repeats = vec(prop::sample::select(results.clone()), 0..8);
        let shuffled = repeats
            .prop_map({
                let results = results.clone();
                move |repeats| [results.clone(), repeats].concat()
            })
            .prop_shuffle();
        (Just(results), shuffled)
    })
}

proptest! {
    #[test]
    fn any_order_and_any_repetition_give_the_same_record(
        (results, shuffled) in shuffled_and_repeated(),
    ) {
        let (record, other) = (merged(&results), merged(&shuffled));
        prop_assert_eq!(&record, &other);
        prop_assert!(record.attempts().is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_delivery_never_goes_backwards(results in vec(results(), 1..12)) {
        let mut record = merged(&results[..1]);
        for result in &results[1..] {
            let before = record.clone();
            record.merge(result);
            if before.status() == Status::Success {
                prop_assert_eq!(record.status(), Status::Success);
                prop_assert_eq!(record.error_message(), None);
            } else if record.status() != Status::Success {
                let round = |record: &DeliveryRecord| record.attempts().last().unwrap().queued_at;
                prop_assert!(round(&record) >= round(&before));
                if round(&record) == round(&before) {
                    prop_assert!(record.retry_count() >= before.retry_count());
                }
            }
            prop_assert!(record.updated_at() >= before.updated_at());
            prop_assert!(record.created_at <= before.created_at);
        }
    }

    #[test]
    fn properties_of_a_record_are_consistent(results in vec(results(), 1..8)) {
        let record = merged(&results);
        prop_assert_eq!(record.completed_at().is_none(), record.status() == Status::Retrying);
        prop_assert_eq!(record.error_message().is_none(), record.status() == Status::Success);
        let delivered = results.iter().any(|result| result.attempt.is_success());
        prop_assert_eq!(delivered, record.status() == Status::Success);
    }
}
