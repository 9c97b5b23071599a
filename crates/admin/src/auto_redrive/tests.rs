use super::*;
use wahook_domain::{
    AutoRedrive, EndpointName, EventBody, EventId, EventName, QueuedEvent, Recovery, RedriveRate,
    UnixMillis,
};
use wahook_queue::{DeadLetter, Poison};

pub(super) fn recovery(at: i64) -> Recovery {
    Recovery {
        at: UnixMillis::new(at),
        rule: AutoRedrive {
            period: "6h".parse().unwrap(),
            rate: RedriveRate::new(10).unwrap(),
        },
    }
}

pub(super) fn name(name: &str) -> EndpointName {
    EndpointName::parse(name).unwrap()
}

#[test]
fn only_letters_of_exhausted_deliveries_to_the_endpoint_are_selected() {
    let (crm, other, now) = (name("crm"), name("other"), UnixMillis::new(1_000));
    let letter = |endpoint: Option<&EndpointName>, moved_by_broker| DeadLetter {
        id: None,
        event: None,
        endpoint: endpoint.cloned(),
        reason: "answered 500".to_owned(),
        is_outage: None,
        died_at: Some(now),
        moved_by_broker,
        content: Err(Poison::Missing("type")),
        payload: "".into(),
    };
    let selected = |letter: &DeadLetter| search(&["crm", "other"], "crm").selects(letter);
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

#[test]
fn letter_that_its_consumer_marked_as_a_refusal_is_not_selected() {
    for (is_outage, expected) in [(None, true), (Some(true), true), (Some(false), false)] {
        let letter = DeadLetter {
            id: None,
            event: None,
            endpoint: Some(name("crm")),
            reason: "answered 500".to_owned(),
            is_outage,
            died_at: Some(UnixMillis::new(1_000)),
            moved_by_broker: false,
            content: Ok(event()),
            payload: "".into(),
        };
        let selected = search(&["crm"], "crm").selects(&letter);
        assert_eq!(selected, expected, "{is_outage:?}");
    }
}

#[test]
fn recoveries_of_other_endpoints_without_a_letter_are_noted() {
    let search = search(&["crm", "other", "third"], "crm");
    for (endpoint, died_at) in [("other", 1_000), ("third", 3_000)] {
        let letter = DeadLetter {
            id: None,
            event: None,
            endpoint: Some(name(endpoint)),
            reason: "answered 500".to_owned(),
            is_outage: None,
            died_at: Some(UnixMillis::new(died_at)),
            moved_by_broker: false,
            content: Ok(event()),
            payload: "".into(),
        };
        assert!(!search.selects(&letter), "{endpoint}");
    }
    let without_letters: Vec<_> = search.without_letters().into_keys().collect();
    assert_eq!(without_letters, [name("crm"), name("third")]);
}

fn search(recovered: &[&str], endpoint: &str) -> Search {
    let recovered = recovered
        .iter()
        .map(|endpoint| (name(endpoint), recovery(2_000)));
    Search::new(name(endpoint), recovery(2_000), recovered.collect())
}

fn event() -> QueuedEvent {
    let body = br#"{"event":"call","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    QueuedEvent::new(
        EventId::parse("evt-1").unwrap(),
        EventName::parse("call").unwrap(),
        EventBody::check(body.as_slice().into()).unwrap(),
        UnixMillis::new(1),
    )
}
