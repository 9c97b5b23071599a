//! Order, repetition and concurrency of results.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mongodb::bson::{Bson, DateTime, Document, doc};
use proptest::{prelude::*, test_runner::TestRunner};
use wahook_delivery_log::DeliveryLog;
use wahook_domain::{Attempt, AttemptNumber, AttemptResult, DeliveryRecord, UnixMillis};

use crate::{
    results::{NOON, attempt, delivered, event_with, result, written},
    server::Log,
};

fn any_attempt() -> impl Strategy<Value = Attempt> {
    // Narrow ranges, so that equal numbers, times and errors occur.
    let error = prop_oneof![
        Just(None),
        Just(Some(String::new())),
        Just(Some("answered 500".to_owned())),
        Just(Some("Answered 500".to_owned())),
        Just(Some("$status \0 \u{1f600}".to_owned())),
    ];
    let url = prop_oneof![Just("https://a.test/"), Just("https://b.test/")];
    let status = proptest::option::of(prop_oneof![Just(200_u16), Just(404), Just(503)]);
    let next = proptest::option::of(0..3_i64);
    let place = (0..2_i64, 1..5_u32);
    let response = prop_oneof![Just(None), Just(Some("down")), Just(Some("up"))];
    (
        place,
        0..4_i64,
        0..3_i64,
        status,
        error,
        next,
        url,
        response,
    )
        .prop_map(
            |((queued, number), start, duration, status_code, error, next, url, response)| {
                Attempt {
                    queued_at: UnixMillis::new(NOON + queued),
                    number: AttemptNumber::new(number).unwrap(),
                    started_at: UnixMillis::new(NOON + start),
                    duration_ms: if duration == 2 {
                        5_000_000_000
                    } else {
                        duration
                    },
                    status_code,
                    error,
                    next_attempt_at: next.map(|at| UnixMillis::new(NOON + at)),
                    webhook_url: Arc::from(url),
                    response: response.map(Arc::from),
                    other_event: false,
                }
            },
        )
}

/// Shuffled and repeated results of one event, with the sizes of their batches.
fn any_history() -> impl Strategy<Value = (Vec<(Attempt, i64)>, Vec<usize>)> {
    let results = prop::collection::vec((any_attempt(), 0..3_i64), 1..7);
    let repeated = results.prop_flat_map(|results| {
        let again = prop::sample::subsequence(results.clone(), 0..=results.len());
        (Just(results), again).prop_map(|(results, again)| [results, again].concat())
    });
    (
        repeated.prop_shuffle(),
        prop::collection::vec(1..4_usize, 12),
    )
}

/// Compares the stored document with everything that the domain derives.
fn assert_agrees(stored: &Document, record: &DeliveryRecord) {
    let date = |at: UnixMillis| Bson::DateTime(DateTime::from_millis(at.get()));
    let or_null = |value: Option<Bson>| value.unwrap_or(Bson::Null);
    let expected = doc! {
        "status": record.status().as_str(),
        "statusCode": or_null(record.status_code().map(|code| i32::from(code).into())),
        "retryCount": i32::try_from(record.retry_count()).unwrap(),
        "errorMessage": or_null(record.error_message().map(|error| error.to_string().into())),
        "webhookUrl": record.webhook_url().to_string(),
        "createdAt": date(record.created_at),
        "updatedAt": date(record.updated_at()),
        "lastRetryAt": or_null(record.last_retry_at().map(date)),
        "completedAt": or_null(record.completed_at().map(date)),
        "nextAttemptAt": or_null(record.next_attempt_at().map(date)),
    };
    for (name, value) in expected {
        assert_eq!(stored.get(&name), Some(&value), "{name} of {stored}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_order_and_repetition_of_results_yields_the_record_of_the_domain() {
    let log = Arc::new(Log::named("histories").await);
    let runtime = tokio::runtime::Handle::current();
    let property = tokio::task::spawn_blocking(move || {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 300,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let histories = AtomicUsize::new(0);
        let outcome = runner.run(&any_history(), |(results, batches)| {
            let history = histories.fetch_add(1, Ordering::Relaxed);
            runtime.block_on(write_and_compare(&log, history, &results, &batches));
            Ok(())
        });
        outcome.unwrap();
    });
    property.await.unwrap();
}

async fn write_and_compare(
    log: &Log,
    history: usize,
    attempts: &[(Attempt, i64)],
    batches: &[usize],
) {
    let id = format!("history-{history}");
    let body = event_with("{}");
    let results: Vec<AttemptResult> = attempts
        .iter()
        .map(|(attempt, accepted)| AttemptResult {
            accepted_at: UnixMillis::new(NOON + accepted),
            origin: None,
            ..result(&id, &body, attempt.clone())
        })
        .collect();
    let mut rest = results.as_slice();
    for size in batches {
        let (batch, later) = rest.split_at((*size).min(rest.len()));
        assert_eq!(log.log.write(batch).await.unwrap(), written(batch.len()));
        rest = later;
    }
    assert!(rest.is_empty(), "every result is in a batch");

    let (first, others) = results.split_first().unwrap();
    let mut expected = DeliveryRecord::first(first);
    for other in others {
        expected.merge(other);
    }
    assert_eq!(log.found(&id).await.as_ref(), Some(&expected));
    assert_agrees(&log.stored(&id).await, &expected);
}

/// Concurrent upserts of one record collide on its key; the log must retry them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writes_of_the_same_records_all_succeed() {
    let log = Arc::new(Log::named("collisions").await);
    let body = event_with("{}");
    let results: Vec<AttemptResult> = (0..40)
        .flat_map(|event| {
            let id = format!("e{event}");
            [
                result(&id, &body, attempt(3, Some("answered 500"), None)),
                result(&id, &body, attempt(2, Some("answered 500"), Some(NOON))),
                delivered(&id, &body),
            ]
        })
        .collect();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (log, mut results) = (Arc::clone(&log), results.clone());
            results.rotate_left(writer * 7);
            tokio::spawn(async move {
                for batch in results.chunks(30) {
                    assert_eq!(log.log.write(batch).await.unwrap(), written(batch.len()));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for event in 0..40 {
        let record = log.found(&format!("e{event}")).await.unwrap();
        assert_eq!(record.attempts.len(), 3);
        assert_eq!(record.status().as_str(), "success");
    }
}
