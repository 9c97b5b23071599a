use super::*;
use wahook_domain::{
    AttemptNumber, AutoRedrive, EventBody, EventId, EventName, QueuedEvent, RedriveRate,
};
use wahook_queue::Poison;

fn recovery(at: i64) -> Recovery {
    Recovery {
        at: UnixMillis::new(at),
        rule: AutoRedrive {
            period: "6h".parse().unwrap(),
            rate: RedriveRate::new(10).unwrap(),
        },
    }
}

fn name(name: &str) -> EndpointName {
    EndpointName::parse(name).unwrap()
}

#[test]
fn endpoints_with_letters_of_their_last_recovery_take_turns() {
    let recoveries = ["a", "b", "c"].map(|endpoint| (name(endpoint), recovery(1)));
    let recoveries = Recoveries::from(recoveries);
    let mut done = BTreeMap::new();
    let next = |done: &BTreeMap<_, _>, last: Option<&str>| {
        let next = next_of(&recoveries, done, last.map(name).as_ref());
        next.map(|(endpoint, _)| endpoint.as_str().to_owned())
    };
    assert_eq!(next(&done, None).as_deref(), Some("a"));
    assert_eq!(next(&done, Some("a")).as_deref(), Some("b"));
    assert_eq!(next(&done, Some("c")).as_deref(), Some("a"));
    done.insert(name("b"), UnixMillis::new(1));
    assert_eq!(next(&done, Some("a")).as_deref(), Some("c"));
    done.insert(name("c"), UnixMillis::new(0));
    assert_eq!(
        next(&done, Some("a")).as_deref(),
        Some("c"),
        "an earlier recovery"
    );
    done.insert(name("a"), UnixMillis::new(1));
    done.insert(name("c"), UnixMillis::new(1));
    assert_eq!(next(&done, Some("a")), None);
}

#[test]
fn only_letters_of_exhausted_deliveries_to_the_endpoint_are_selected() {
    let (crm, other, now) = (name("crm"), name("other"), UnixMillis::new(1_000));
    let letter = |endpoint: Option<&EndpointName>, moved_by_broker| DeadLetter {
        id: None,
        event: None,
        endpoint: endpoint.cloned(),
        reason: "answered 500".to_owned(),
        died_at: Some(now),
        moved_by_broker,
        content: Err(Poison::Missing("type")),
        payload: "".into(),
    };
    let selected = |letter: &DeadLetter| selects(&crm, &recovery(2_000), letter);
    assert!(!selected(&letter(Some(&crm), false)), "undecodable");
    for (endpoint, moved_by_broker, expected) in [
        (Some(&crm), false, true),
        (Some(&crm), true, false),
        (Some(&other), false, false),
        (None, false, false),
    ] {
        let letter = DeadLetter {
            content: Ok(event()),
            ..letter(endpoint, moved_by_broker)
        };
        assert_eq!(selected(&letter), expected, "{letter:?}");
    }
}

fn event() -> QueuedEvent {
    let body = br#"{"event":"call","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    QueuedEvent {
        id: EventId::parse("evt-1").unwrap(),
        name: EventName::parse("call").unwrap(),
        body: EventBody::check(body.as_slice().into()).unwrap(),
        exact: None,
        attempt: AttemptNumber::FIRST,
        accepted_at: UnixMillis::new(1),
        redriven_at: None,
        traceparent: None,
        propagated: None,
        origin: None,
        key: None,
        is_redelivery: false,
        auto_redrives: 0,
    }
}
