use super::*;
use crate::message::metadata::DeathReason;
use wahook_domain::{EventId, EventName, OrderKey};

fn event() -> QueuedEvent {
    let body =
        br#"{"event":"message_ack","data":{"ack":3},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    QueuedEvent {
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        key: Some(OrderKey::sent("order-7").unwrap()),
        ..QueuedEvent::new(
            EventId::parse("evt-1").unwrap(),
            EventName::parse("message_ack").unwrap(),
            EventBody::check(Bytes::from_static(body)).unwrap(),
            UnixMillis::new(1_727_784_000_123),
        )
    }
}

fn read_back(outgoing: &Outgoing) -> QueuedEvent {
    Stored::from(outgoing.clone()).content().unwrap()
}

#[test]
fn a_published_event_is_decoded_unchanged() {
    let outgoing = Outgoing::event(&event());
    assert_eq!(read_back(&outgoing), event());
    assert_eq!(outgoing.address(), ("wahook.known", "message._.ack"));
}

#[test]
fn a_retry_waits_its_step_and_returns_to_its_work_queue_as_the_next_attempt() {
    let step = WaitStep::of_millis(5_000).unwrap();
    let outgoing = Outgoing::retry(&event(), &EndpointName::default(), step);
    let address = ("wahook.wait.5000", "wahook.deliver.default");
    assert_eq!(outgoing.address(), address);
    let expected = QueuedEvent {
        attempt: AttemptNumber::FIRST.next(),
        ..event()
    };
    assert_eq!(read_back(&outgoing), expected);
}

#[test]
fn a_redriven_event_begins_again_at_attempt_1_with_the_same_id() {
    let exhausted = QueuedEvent {
        attempt: AttemptNumber::new(4).unwrap(),
        ..event()
    };
    let now = UnixMillis::new(1_727_900_000_000);
    let outgoing = Outgoing::redrive(&exhausted, &EndpointName::default(), now);
    assert_eq!(outgoing.address(), ("", "wahook.deliver.default"));
    let decoded = read_back(&outgoing);
    assert_eq!(decoded.queued_at(), now);
    let expected = QueuedEvent {
        redriven_at: Some(now),
        ..event()
    };
    assert_eq!(decoded, expected);
}

#[test]
fn automatic_redrives_are_counted_through_retries_and_dead_letters() {
    let (crm, now) = (EndpointName::parse("crm").unwrap(), UnixMillis::new(1));
    let step = WaitStep::of_millis(5_000).unwrap();
    let once = read_back(&Outgoing::auto_redrive(&event(), &crm, now));
    assert_eq!((once.auto_redrives, once.queued_at()), (1, now));
    for outgoing in [
        Outgoing::retry(&once, &crm, step),
        Outgoing::republish(&once, &crm),
        Outgoing::dead_letter(&once, &crm, "answered 500", now),
        Outgoing::redrive(&once, &crm, now),
    ] {
        assert_eq!(read_back(&outgoing).auto_redrives, 1, "{outgoing:?}");
    }
    let twice = read_back(&Outgoing::auto_redrive(&once, &crm, now));
    assert_eq!(twice.auto_redrives, 2);
}

#[test]
fn retries_and_dead_letters_of_a_redelivery_are_redeliveries() {
    let again = QueuedEvent {
        is_redelivery: true,
        ..event()
    };
    let (crm, now) = (EndpointName::parse("crm").unwrap(), UnixMillis::new(1));
    let step = WaitStep::of_millis(5_000).unwrap();
    for outgoing in [
        Outgoing::redrive(&again, &crm, now),
        Outgoing::republish(&again, &crm),
        Outgoing::retry(&again, &crm, step),
        Outgoing::dead_letter(&again, &crm, "answered 500", now),
    ] {
        assert!(read_back(&outgoing).is_redelivery, "{outgoing:?}");
    }
}

#[test]
fn a_message_moves_to_another_store_unchanged_and_with_its_remaining_wait() {
    let stored = Stored::from(Outgoing::event(&event()));
    let moved = stored.to_queue("wahook.deliver.crm");
    assert_eq!(moved.address(), ("", "wahook.deliver.crm"));
    assert_eq!(Stored::from(moved), stored);
    let step = WaitStep::of_millis(20_000).unwrap();
    let waits = stored.to_wait(step, Duration::from_millis(7_001), "wahook.deliver.crm");
    assert_eq!(waits.address(), ("wahook.wait.20000", "wahook.deliver.crm"));
    assert_eq!(waits.expires_after, Some(Duration::from_millis(7_001)));
    assert_eq!(Stored::from(waits), stored);
}

#[test]
fn an_incomplete_message_is_poison() {
    let of = |change: fn(&mut MessageMetadata)| {
        let mut metadata = MessageMetadata::from(&event());
        change(&mut metadata);
        metadata.decode_event(event().body.bytes()).unwrap_err()
    };
    assert_eq!(of(|m| m.id = None), Poison::Missing("message_id"));
    assert_eq!(of(|m| m.event = None), Poison::Missing("type"));
    assert_eq!(of(|m| m.attempt = None), Poison::Missing("x-attempt"));
    let accepted = of(|m| m.accepted_at = None);
    assert_eq!(accepted, Poison::Missing("x-first-published-ms"));
    let other = of(|m| m.defect = Some(Poison::Version(2)));
    assert_eq!(other, Poison::Version(2));
    let bytes = Bytes::from_static(&[0xff, 0x00, 0x7b]);
    let payload = MessageMetadata::from(&event()).decode_event(bytes);
    assert!(matches!(payload, Err(Poison::Payload(_))));
}

#[test]
fn a_dead_message_keeps_its_event() {
    let stored = Stored::from(Outgoing::event(&event()));
    let died = stored.died(
        "wahook.deliver.crm",
        DeathReason::Rejected,
        UnixMillis::new(1),
    );
    assert_eq!(died.content().unwrap(), event());
}

#[test]
fn every_message_of_an_event_keeps_the_bytes_that_the_gateway_sent() {
    let raw = br#"{ "data": {"ack": 3.0}, "event": "message_ack" }"#;
    let body = canonical_body(raw, event().accepted_at).unwrap();
    let exact = QueuedEvent {
        body,
        exact: Some(EventBody::as_received(Bytes::from_static(raw))),
        ..event()
    };
    let (crm, now) = (EndpointName::parse("crm").unwrap(), UnixMillis::new(1));
    let step = WaitStep::of_millis(5_000).unwrap();
    for outgoing in [
        Outgoing::event(&exact),
        Outgoing::redrive(&exact, &crm, now),
        Outgoing::republish(&exact, &crm),
        Outgoing::retry(&exact, &crm, step),
        Outgoing::dead_letter(&exact, &crm, "answered 500", now),
        Outgoing::dropped(&exact, &crm, "dropped", now),
    ] {
        assert_eq!(outgoing.payload(), raw.as_slice());
        let read = read_back(&outgoing);
        assert_eq!((&read.body, &read.exact), (&exact.body, &exact.exact));
    }
}

#[test]
fn exact_bytes_that_are_no_event_are_poison() {
    let mut stored = Stored::from(Outgoing::event(&event()));
    stored.metadata.is_exact = true;
    stored.payload = Bytes::from_static(b"{\"event\":\"message_ack\",");
    let poison = stored.content().unwrap_err();
    assert!(matches!(poison, Poison::Payload(_)), "{poison}");
}
