//! Checks of records of two events with the same id.

use bytes::Bytes;
use serde_json::json;
use wahook_domain::{AttemptResult, EventBody, EventName, UnixMillis};

use crate::checks::{NOON, delivered, exhausted, failed, found, redriven, write};
use crate::logs::Readable;

/// Returns the result as one of another event with the same id, accepted a while later.
pub(crate) fn of_another_event(mut result: AttemptResult) -> AttemptResult {
    let body = br#"{"event":"message_create","data":{"body":"bye"},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    result.body = EventBody::check(Bytes::from_static(body)).unwrap();
    accepted_later(result)
}

fn accepted_later(mut result: AttemptResult) -> AttemptResult {
    let later = UnixMillis::new(NOON + 700_000);
    (result.accepted_at, result.attempt.queued_at) = (later, later);
    result
}

/// Returns whether each attempt of a record has the mark of another event.
async fn marks(at: &impl Readable, id: &str) -> Vec<bool> {
    let record = found(at, id).await.unwrap();
    let marks = record.attempts().iter().map(|attempt| attempt.other_event);
    let marks: Vec<_> = marks.collect();
    let stored = at.field(&format!("{id}/default"), "attempts").await;
    let stored = stored.as_array().unwrap().iter();
    let stored: Vec<_> = stored.map(|one| one.get("otherEvent").cloned()).collect();
    let expected = marks.iter().map(|is| is.then_some(json!(true)));
    assert_eq!(stored, expected.collect::<Vec<_>>());
    marks
}

pub(crate) async fn attempts_of_another_event_with_the_same_id_are_marked(at: &impl Readable) {
    let other = |result| of_another_event(result);
    for (id, results, expected) in [
        (
            "first-delivered",
            vec![
                delivered("first-delivered", 1),
                other(failed("first-delivered", 1)),
                other(delivered("first-delivered", 2)),
            ],
            vec![false, true, true],
        ),
        // The payload is that of the event that is recorded first, also if it is the later one.
        (
            "later-first",
            vec![
                other(failed("later-first", 1)),
                failed("later-first", 1),
                delivered("later-first", 2),
                other(delivered("later-first", 2)),
            ],
            vec![true, true, false, false],
        ),
        (
            "repeated",
            vec![
                failed("repeated", 1),
                accepted_later(delivered("repeated", 1)),
            ],
            vec![false, false],
        ),
        (
            "retried",
            vec![failed("retried", 1), redriven(delivered("retried", 1))],
            vec![false, false],
        ),
    ] {
        for result in &results {
            write(at, std::slice::from_ref(result)).await;
        }
        assert_eq!(marks(at, id).await, expected, "{id}");
        // Results that are written again change nothing.
        write(at, &results).await;
        assert_eq!(marks(at, id).await, expected, "{id}");
    }
    let payload = |id: &'static str| async move {
        at.field(&format!("{id}/default"), "payload").await["body"].clone()
    };
    assert_eq!(payload("first-delivered").await, json!("hi"));
    assert_eq!(payload("later-first").await, json!("bye"));

    let mut other_name = accepted_later(delivered("named", 1));
    other_name.event = EventName::parse("message").unwrap();
    write(at, &[delivered("named", 1), other_name]).await;
    assert_eq!(marks(at, "named").await, [false, true]);
    assert_eq!(
        at.field("named/default", "event").await,
        json!("message_create")
    );
}

pub(crate) async fn values_that_the_log_does_not_keep_make_no_other_event(at: &impl Readable) {
    let log = at.redacting("*=/data/body,/data/n");
    let repeat = accepted_later(delivered("e1", 1));
    let other = of_another_event(exhausted("e1", 2));
    for result in [failed("e1", 1), repeat, other] {
        let written = log.write(&[result]).await.unwrap();
        assert_eq!(written.written, 1);
    }
    assert_eq!(marks(at, "e1").await, [false, false, true]);
}
