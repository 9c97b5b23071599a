//! Property tests: decoding of foreign messages.

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use proptest::{collection::vec, option, prelude::*, strategy::ValueTree};
use serde_json::json;
use wahook_domain::{EndpointName, QueuedEvent, RetryRule};
use wahook_hostile::cases;

use super::properties;
use crate::message::Outgoing;

/// All headers of wahook, and a foreign one.
const HEADERS: [&str; 12] = [
    "x-wahook-version",
    "x-attempt",
    "x-first-published-ms",
    "x-redriven-ms",
    "traceparent",
    "tracestate",
    "baggage",
    "x-exact",
    "x-result",
    "x-key",
    "x-redelivery",
    "x-other",
];

fn number() -> impl Strategy<Value = AMQPValue> {
    prop_oneof![
        4 => Just(AMQPValue::LongLongInt(1)),
        1 => any::<i64>().prop_map(AMQPValue::LongLongInt),
        1 => any::<i32>().prop_map(AMQPValue::LongInt),
        1 => any::<u32>().prop_map(AMQPValue::LongUInt),
        1 => any::<i16>().prop_map(AMQPValue::ShortInt),
        1 => any::<u8>().prop_map(AMQPValue::ShortShortUInt),
    ]
}

fn value() -> impl Strategy<Value = AMQPValue> {
    let leaf = prop_oneof![
        4 => number(),
        1 => vec(any::<u8>(), 0..60).prop_map(|bytes| AMQPValue::LongString(bytes.into())),
        1 => result_text().prop_map(|text| AMQPValue::LongString(text.into())),
        1 => "[a-z]:.{1,9}".prop_map(|text| AMQPValue::LongString(text.into())),
        1 => any::<u64>().prop_map(AMQPValue::Timestamp),
        1 => any::<bool>().prop_map(AMQPValue::Boolean),
        1 => Just(AMQPValue::Void),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        vec(inner, 0..3).prop_map(|values| AMQPValue::FieldArray(values.into()))
    })
}

/// Values of `x-result`; in one of ten, parts are missing or malformed.
fn result_text() -> impl Strategy<Value = String> {
    let ids = ("[A-Za-z0-9_-]{1,9}", "[a-z]{1,9}", "[a-z][a-z_.:-]{0,9}");
    let numbers = (any::<i64>(), any::<u32>(), any::<i64>(), any::<i64>());
    let maybe = (
        option::of(any::<u16>()),
        option::of(any::<String>()),
        option::of(any::<i64>()),
    );
    let cut = prop_oneof![9 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (ids, numbers, maybe, any::<String>(), cut).prop_map(|(ids, numbers, maybe, url, cut)| {
        let text = json!({
            "event_id": ids.0, "endpoint": ids.1, "event": ids.2,
            "accepted_at": numbers.0, "queued_at": numbers.0, "number": numbers.1, "started_at": numbers.2,
            "duration_ms": numbers.3, "status_code": maybe.0, "error": maybe.1,
            "next_attempt_at": maybe.2, "webhook_url": url,
        });
        let text = text.to_string();
        let end = cut.map_or(text.len(), |cut| cut.index(text.len()));
        String::from_utf8_lossy(text.as_bytes().get(..end).unwrap_or_default()).into_owned()
    })
}

fn short(mostly: &'static str) -> impl Strategy<Value = Option<ShortString>> {
    let text = prop_oneof![9 => mostly, 1 => any::<String>()];
    option::weighted(
        0.95,
        text.prop_map(|text| ShortString::try_new(text).unwrap_or_default()),
    )
}

fn any_properties() -> impl Strategy<Value = BasicProperties> {
    // Most are complete, so that many can be decoded.
    let needed = [number(), number(), number()];
    let others = vec((prop::sample::select(HEADERS.to_vec()), value()), 0..4);
    let (id, kind) = (
        short("[A-Za-z0-9_-]{1,20}"),
        short("[a-z][a-z0-9_.:-]{0,20}"),
    );
    (id, kind, needed, result_text(), others).prop_map(|(id, kind, needed, result, others)| {
        let mut headers = FieldTable::default();
        for (name, value) in HEADERS.into_iter().zip(needed) {
            headers.insert(name.into(), value);
        }
        headers.insert("x-result".into(), AMQPValue::LongString(result.into()));
        for (name, value) in others {
            headers.insert(name.into(), value);
        }
        let properties = BasicProperties::default().with_headers(headers);
        let properties = id
            .into_iter()
            .fold(properties, BasicProperties::with_message_id);
        kind.into_iter()
            .fold(properties, BasicProperties::with_type)
    })
}

fn payload() -> impl Strategy<Value = Bytes> {
    let event = br#"{"event":"call","data":{"a":[]},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    let cut = (0..event.len()).prop_map(|end| event.get(..end).unwrap_or_default().to_vec());
    prop_oneof![8 => Just(event.to_vec()), 1 => cut, 1 => vec(any::<u8>(), 0..60)]
        .prop_map(Bytes::from)
}

fn read_back(outgoing: &Outgoing) -> Option<QueuedEvent> {
    let properties = properties::encode(outgoing.metadata().clone(), None);
    properties::decode_event(&properties, outgoing.payload().clone()).ok()
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn hostile_event_is_refused_or_encoded_unchanged(properties in any_properties(), payload in payload()) {
        if let Ok(event) = properties::decode_event(&properties, payload) {
            let endpoint = EndpointName::default();
            prop_assert_eq!(read_back(&Outgoing::event(&event)), Some(event.clone()));
            let parked = Outgoing::dead_letter(&event, &endpoint, "why", event.accepted_at);
            prop_assert_eq!(read_back(&parked), Some(event.clone()));
            for step in RetryRule::new(1, 1_000).unwrap().wait_steps() {
                let attempt = event.attempt.next();
                let next = QueuedEvent { attempt, ..event.clone() };
                prop_assert_eq!(read_back(&Outgoing::retry(&event, &endpoint, step)), Some(next));
            }
        }
    }

    #[test]
    fn hostile_result_is_refused_or_encoded_unchanged(properties in any_properties(), payload in payload()) {
        if let Ok(result) = properties::decode_result(&properties, payload) {
            let again = Outgoing::result(&result);
            let encoded = properties::encode(again.metadata().clone(), None);
            prop_assert_eq!(properties::decode_result(&encoded, again.payload().clone()), Ok(result));
        }
    }
}

/// Ensures that the two tests above decode enough messages to prove something.
#[test]
fn many_random_messages_are_decodable() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut events, mut results) = (0, 0);
    for _ in 0..500 {
        let drawn = (any_properties(), payload()).new_tree(&mut runner).unwrap();
        let (properties, payload) = drawn.current();
        events += u32::from(properties::decode_event(&properties, payload.clone()).is_ok());
        results += u32::from(properties::decode_result(&properties, payload).is_ok());
    }
    assert!((25..475).contains(&events), "{events}");
    assert!((25..475).contains(&results), "{results}");
}
