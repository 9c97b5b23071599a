use bytes::Bytes;
use futures_util::FutureExt;
use wahook_domain::{EventBody, EventName};

use super::*;

fn event(id: &str) -> QueuedEvent {
    let body = br#"{"event":"call","data":{},"timestamp":1}"#;
    QueuedEvent::new(
        EventId::parse(id).unwrap(),
        EventName::parse("call").unwrap(),
        EventBody::check(Bytes::from_static(body)).unwrap(),
        UnixMillis::new(1),
    )
}

/// Returns the result of a wait for the end, or `None` while the delivery is unfinished.
fn result(ending: Ending) -> Option<bool> {
    ending.wait().now_or_never()
}

#[test]
fn same_delivery_waits_for_the_end_of_the_first() {
    let unfinished = Arc::new(Unfinished::default());
    let begun = unfinished.begin(&event("one"));
    let waiting = [(); 3].map(|()| unfinished.ending(&event("one")).unwrap());
    let [early, first, second] = waiting;
    assert_eq!(result(early), None);
    begun.conclude();
    assert_eq!((result(first), result(second)), (Some(true), Some(true)));
    assert!(unfinished.ending(&event("one")).is_none());
}

#[test]
fn delivery_that_ends_without_a_conclusion_is_made_again() {
    let unfinished = Arc::new(Unfinished::default());
    let begun = unfinished.begin(&event("one"));
    let waiting = unfinished.ending(&event("one")).unwrap();
    drop(begun);
    assert_eq!(result(waiting), Some(false));
    assert!(!unfinished.has(&event("one")));
}

#[test]
fn other_attempts_and_rounds_and_events_do_not_wait() {
    let unfinished = Arc::new(Unfinished::default());
    let _begun = unfinished.begin(&event("one"));
    let round = event("one").in_new_round(UnixMillis::new(2));
    for other in [event("two"), event("one").next_attempt(), round] {
        assert!(!unfinished.has(&other) && unfinished.ending(&other).is_none());
    }
}

#[test]
fn second_delivery_with_the_same_key_does_not_end_the_first() {
    let unfinished = Arc::new(Unfinished::default());
    let first = unfinished.begin(&event("one"));
    unfinished.begin(&event("one")).conclude();
    drop(unfinished.begin(&event("one")));
    let waiting = unfinished.ending(&event("one")).unwrap();
    first.conclude();
    assert_eq!(result(waiting), Some(true));
}
