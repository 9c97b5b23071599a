//! Foreign messages, published directly to the work queue of a running consumer: dead-lettered
//! unchanged at once, without an effect on other messages.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use wahook_tests::amqp_wire::{AmqpWire, Properties, WireMessage, long_string, table};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::receiver::{Answer, Receiver};

use crate::world::{Test, Tests};

const WORK_QUEUE: &[u8] = b"wahook.deliver.default";
const BODY: &[u8] = br#"{"event":"test","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
/// Delay of the first retry.
const RETRY_DELAY: (&str, &str) = ("WEBHOOK_RETRY_DELAY", "60000");
/// Less than that delay.
const DEAD_LETTERED_WITHIN: Duration = Duration::from_secs(50);
const MESSAGE_ID: u32 = 7;
const TYPE: u32 = 5;
const APP_ID: u32 = 3;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_poison_message_is_dead_lettered_unchanged_and_its_neighbours_are_delivered",
        dead_lettered,
    );
    tests.add(
        "odd_bytes_outside_a_valid_envelope_are_not_poison",
        odd_bytes_outside,
    );
}

/// Returns a message as the producer publishes it.
fn good(id: &str) -> WireMessage {
    WireMessage {
        properties: envelope(id.as_bytes(), b"test", &["1", "1", "1"].map(whole_number)),
        body: BODY.to_vec(),
    }
}

/// Returns an envelope with these values for version, attempt and time of publishing.
fn envelope(id: &[u8], event: &[u8], headers: &[Vec<u8>]) -> Properties {
    let names = ["x-wahook-version", "x-attempt", "x-first-published-ms"];
    let properties = Properties::default()
        .with_text(MESSAGE_ID, id)
        .with_text(TYPE, event);
    names
        .iter()
        .zip(headers)
        .fold(properties, |properties, (name, value)| {
            properties.with_header(name.as_bytes(), value)
        })
}

fn whole_number(value: &str) -> Vec<u8> {
    let value: i64 = value.parse().unwrap();
    [b"l".as_slice(), &value.to_be_bytes()].concat()
}

fn text(value: &[u8]) -> Vec<u8> {
    [b"S".to_vec(), long_string(value)].concat()
}

fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(b"V".to_vec(), |inner, _| {
        [b"A".to_vec(), long_string(&inner)].concat()
    })
}

fn poisons() -> Vec<(&'static str, WireMessage)> {
    let one = || whole_number("1");
    let with = |properties| WireMessage {
        properties,
        body: BODY.to_vec(),
    };
    let good_with = |name: &[u8], value: &[u8]| {
        let message = good("p");
        with(message.properties.with_header(name, value))
    };
    let random = WireMessage {
        body: vec![0xff, 0x00, 0xfe],
        ..good("p")
    };
    let ninety_nine = [whole_number("99"), one(), one()];
    let text_attempt = [one(), text(b"1"), one()];
    let date = [one(), one(), [b"T".as_slice(), &[0; 8]].concat()];
    vec![
        ("a_body_of_random_bytes", random),
        ("a_message_without_properties", with(Properties::default())),
        (
            "another_version",
            with(envelope(b"p", b"test", &ninety_nine)),
        ),
        (
            "a_missing_header",
            with(envelope(b"p", b"test", &[one(), one()])),
        ),
        (
            "a_number_as_text",
            with(envelope(b"p", b"test", &text_attempt)),
        ),
        ("a_number_as_a_date", with(envelope(b"p", b"test", &date))),
        (
            "an_id_of_odd_bytes",
            with(envelope(b"p\xff", b"test", &[one(), one(), one()])),
        ),
        (
            "a_type_of_odd_bytes",
            with(envelope(b"p", b"\xfe\xff", &[one(), one(), one()])),
        ),
        (
            "a_header_with_a_name_of_odd_bytes",
            good_with(b"x-\xff", &one()),
        ),
        (
            "a_name_of_odd_bytes_deep_inside",
            good_with(
                b"x",
                &[b"F".to_vec(), table([(b"y\xff".to_vec(), text(b"z"))])].concat(),
            ),
        ),
        // Ten times the depth that overflows the stack of lapin's parser.
        (
            "a_header_nested_two_thousand_deep",
            good_with(b"deep", &nested(2_000)),
        ),
        // The headers added by the broker make it longer than the maximum frame.
        (
            "a_header_as_long_as_a_frame",
            with(Properties::default().with_header(b"long", &text(&[b'x'; 131_000]))),
        ),
    ]
}

async fn dead_lettered(test: Test) {
    // Slow enough to keep the neighbours in flight while the poison message is handled.
    let slow = |_: &_| Answer::status(200).after(Duration::from_millis(300));
    let pair = test
        .pair(Receiver::answering(slow).await, &[RETRY_DELAY])
        .await;
    let mut wire = AmqpWire::connect(&pair.place().amqp_url).await.unwrap();
    let mut neighbours = BTreeSet::new();
    let poisons = poisons();
    for (name, poison) in &poisons {
        neighbours.insert(pair.post(&json!({"event": "test"})).await.accepted_id());
        wire.publish("", WORK_QUEUE, poison).await.unwrap();
        neighbours.insert(pair.post(&json!({"event": "test"})).await.accepted_id());
        let dead = dead_letter(&pair, name).await;
        assert_eq!(dead.body, poison.body, "{name}");
        let properties = dead.properties.without_traces();
        assert_eq!(properties, poison.properties, "{name}");
    }
    only_these_arrive(&pair, &neighbours).await;
    let metrics = pair.take_consumer().metrics().await;
    let count = metrics.sum("wahook_poison_messages_total");
    assert_eq!(count, poisons.len() as f64);
    assert_eq!(metrics.sum("wahook_events_redelivered_total"), 0.0);
    assert_eq!(metrics.sum("wahook_reconnects_total"), 0.0);
}

async fn odd_bytes_outside(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let mut wire = AmqpWire::connect(&pair.place().amqp_url).await.unwrap();
    wire.publish("wahook.events", b"\xff.\xfe", &good("odd-key"))
        .await
        .unwrap();
    let mut odd = good("odd-value");
    odd.properties = odd
        .properties
        .with_text(APP_ID, b"app")
        .with_header(b"x-odd", &text(b"\xff\xfe"))
        .with_header(b"x-deep", &nested(60));
    wire.publish("", WORK_QUEUE, &odd).await.unwrap();
    only_these_arrive(&pair, &["odd-key", "odd-value"].map(str::to_owned).into()).await;
}

async fn dead_letter(pair: &Pair, name: &str) -> WireMessage {
    let what = format!("{name} among the dead letters");
    eventually(DEAD_LETTERED_WITHIN, &what, || async {
        let mut wire = AmqpWire::connect(&pair.place().amqp_url).await.unwrap();
        wire.get("wahook.dead").await.unwrap()
    })
    .await
}

/// Asserts that each event arrives once, and nothing else.
async fn only_these_arrive(pair: &Pair, ids: &BTreeSet<String>) {
    let posts = pair.receiver.wait_for(ids.len(), AT_LAST).await;
    let arrived: Vec<_> = posts.iter().filter_map(|post| post.id()).collect();
    assert_eq!(arrived.len(), ids.len(), "{arrived:?}");
    assert!(
        ids.iter().all(|id| arrived.contains(&id.as_str())),
        "{arrived:?}"
    );
}
