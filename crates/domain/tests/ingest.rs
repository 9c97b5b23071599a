//! Property tests: every input is rejected with a reason or becomes a valid event.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not cover shared functions"
)]

use proptest::{collection::vec, option, prelude::*};
use wahook_domain::{
    AcceptedEvent, EventBody, EventId, EventName, Fault, Ingest, Rejection, UnixMillis, Validation,
    ingest, json, samples,
};
use wahook_hostile::spelled::{key, spelled_json};
use wahook_hostile::{cases, damaged};

fn ingested(raw: &[u8], validation: Validation) -> Result<AcceptedEvent, Rejection> {
    let context = Ingest {
        validation,
        now: UnixMillis::new(0),
        idempotency_key: None,
    };
    ingest(raw, context, || EventId::parse("fresh").unwrap())
}

/// JSON text in the place of an event's name, mostly a valid name.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => prop::sample::select(vec!["message_create", "message_ack", "call", "ready", "qr"])
            .prop_map(|name| format!("\"{name}\"")),
        1 => "\"[a-z][a-z0-9_.:-]{0,63}\"",
        1 => spelled_json(),
    ]
}

fn data() -> impl Strategy<Value = String> {
    let object = vec((key(), spelled_json()), 0..6).prop_map(|members| {
        let members: Vec<_> = members
            .iter()
            .map(|(key, value)| format!("{key}:{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    });
    prop_oneof![3 => object, 1 => spelled_json()]
}

fn timestamp() -> impl Strategy<Value = String> {
    let time = Just("\"2024-10-01T12:00:00.000Z\"".to_owned());
    prop_oneof![2 => time, 1 => spelled_json()]
}

/// An object with the members of an event, each of which may be missing or wrong.
fn eventlike() -> impl Strategy<Value = String> {
    let members = (option::weighted(0.9, name()), option::weighted(0.8, data()));
    (
        members,
        option::of(timestamp()),
        vec((key(), spelled_json()), 0..3),
    )
        .prop_map(|((name, data), timestamp, others)| {
            let known = [("event", name), ("data", data), ("timestamp", timestamp)];
            let known = known
                .into_iter()
                .filter_map(|(key, value)| value.map(|value| format!("\"{key}\":{value}")));
            let others = others.iter().map(|(key, value)| format!("{key}:{value}"));
            let members: Vec<_> = others.chain(known).collect();
            format!("{{{}}}", members.join(" , "))
        })
}

fn is_complete(fault: &Fault) -> bool {
    (fault.pointer.is_empty() || fault.pointer.starts_with('/')) && !fault.message.is_empty()
}

fn check(raw: &[u8]) -> Result<(), TestCaseError> {
    let lenient = ingested(raw, Validation::Lenient);
    match &lenient {
        Ok(event) => {
            let (body, mut again) = (event.body.as_bytes(), Vec::new());
            json::print(&event.body.parse(), &mut again);
            prop_assert_eq!(&again, body);
            prop_assert_eq!(EventBody::check(event.body.bytes()), Ok(event.body.clone()));
            prop_assert_eq!(EventId::parse(event.id.as_str()), Ok(event.id.clone()));
            prop_assert_eq!(
                EventName::parse(event.name.as_str()),
                Ok(event.name.clone())
            );
            prop_assert!(event.warnings.iter().all(is_complete));
            // Defaults are part of the body now, so a repeat has the same id.
            let repeated = ingested(body, Validation::Lenient).unwrap();
            prop_assert_eq!(&repeated.body, &event.body);
            prop_assert_eq!(&repeated.id, &EventId::for_body(&event.body));
        }
        Err(Rejection::NotJson(fault)) => prop_assert!(fault.offset <= raw.len()),
        Err(Rejection::Invalid(faults)) => {
            prop_assert!(!faults.is_empty() && faults.iter().all(is_complete));
        }
    }
    let strict = ingested(raw, Validation::Strict);
    let flawless = lenient
        .as_ref()
        .is_ok_and(|event| event.warnings.is_empty());
    prop_assert_eq!(strict.is_ok(), flawless);
    Ok(())
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn hostile_event_is_valid_or_rejected_with_a_reason(raw in damaged(samples().collect::<Vec<_>>())) {
        check(&raw)?;
    }

    #[test]
    fn hostile_object_is_valid_or_rejected_with_a_reason(raw in eventlike()) {
        check(raw.as_bytes())?;
    }

    #[test]
    fn hostile_bytes_are_rejected_with_a_reason(raw in vec(any::<u8>(), 0..200)) {
        check(&raw)?;
    }
}
