//! Each example receiver accepts valid deliveries, drops repeated ones and rejects all others.

use super::delivery::Delivery;
use super::receiver::{Example, ExampleReceiver};

const SECRETS: [&str; 3] = [
    "a secret that only the tests use, with an ü",
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    // Base64 without padding.
    "whsec_cGxhaW4",
];
const EVENT: &str = r#"{"event":"message_create","data":{"body":"Grüße, 日本, 👩‍👩‍👧‍👦","n":1e+21},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
const BODY_SIGNATURE: &str = "x-webhook-signature";
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
/// Well beyond the 5 minutes that the receivers accept.
const TOO_FAR_S: i64 = 400;

#[tokio::test]
async fn express_receiver_accepts_only_valid_deliveries() {
    accepts_only_valid_deliveries(Example::Express).await;
}

#[tokio::test]
async fn fastify_receiver_accepts_only_valid_deliveries() {
    accepts_only_valid_deliveries(Example::Fastify).await;
}

#[tokio::test]
async fn flask_receiver_accepts_only_valid_deliveries() {
    accepts_only_valid_deliveries(Example::Flask).await;
}

#[tokio::test]
async fn php_receiver_accepts_only_valid_deliveries() {
    accepts_only_valid_deliveries(Example::Php).await;
}

#[tokio::test]
async fn go_receiver_accepts_only_valid_deliveries() {
    accepts_only_valid_deliveries(Example::Go).await;
}

async fn accepts_only_valid_deliveries(example: Example) {
    for secret in SECRETS {
        let receiver = ExampleReceiver::start(example, secret).await;
        rejects_invalid(&receiver, secret).await;
        accepts_new_and_repeated(&receiver, secret).await;
        accepts_one_of_two_signatures(&receiver, secret).await;
        accepts_documented_events(&receiver, secret).await;
    }
}

/// Each of these deliveries has the id "first", which stays new.
async fn rejects_invalid(receiver: &ExampleReceiver, secret: &str) {
    let valid = Delivery::new(secret, "first", EVENT);
    let cut = |name: &'static str| {
        let value = valid.header(name);
        let (_, all_but_first) = value.split_at(1);
        valid.clone().with(name, all_but_first)
    };
    let other = Delivery::new("another secret", "first", EVENT);
    let reformatted = EVENT.replacen(':', ": ", 1);
    let mut invalid = vec![
        ("another secret", other.clone()),
        ("cut body signature", cut(BODY_SIGNATURE)),
        ("cut signature", cut(SIGNATURE)),
        ("another id", valid.clone().with(ID, "second")),
        (
            "no number as timestamp",
            valid.clone().with(TIMESTAMP, "now"),
        ),
        (
            "changed body",
            valid.clone().with_body(EVENT.replace("1e+21", "2e+21")),
        ),
        ("reformatted body", valid.clone().with_body(reformatted)),
        ("empty body", valid.clone().with_body("")),
    ];
    for offset_s in [-TOO_FAR_S, TOO_FAR_S] {
        let delivery = Delivery::sent_at(secret, "first", EVENT, offset_s);
        invalid.push(("timestamp out of range", delivery));
    }
    for name in [BODY_SIGNATURE, ID, TIMESTAMP, SIGNATURE] {
        invalid.push(("missing header", valid.clone().without(name)));
    }
    for name in [BODY_SIGNATURE, SIGNATURE] {
        let delivery = valid.clone().with(name, other.header(name));
        invalid.push(("one signature by another secret", delivery));
    }
    for (fault, delivery) in invalid {
        let (status, body) = receiver.post(&delivery).await;
        assert_eq!(status, 401, "{fault}, {secret}: {body}");
    }
}

async fn accepts_new_and_repeated(receiver: &ExampleReceiver, secret: &str) {
    let first = Delivery::new(secret, "first", EVENT);
    assert!(receiver.accepts_as_new(&first).await, "{secret}");
    assert!(!receiver.accepts_as_new(&first).await, "{secret}");
    // A retry has another timestamp.
    let retry = Delivery::sent_at(secret, "first", EVENT, -60);
    assert!(!receiver.accepts_as_new(&retry).await, "{secret}");
    let second = Delivery::new(secret, "second", EVENT);
    assert!(receiver.accepts_as_new(&second).await, "{secret}");
}

async fn accepts_one_of_two_signatures(receiver: &ExampleReceiver, secret: &str) {
    let delivery = Delivery::new(secret, "two-signatures", EVENT);
    let other = Delivery::new("another secret", "two-signatures", EVENT);
    let both = format!("{} {}", other.header(SIGNATURE), delivery.header(SIGNATURE));
    let delivery = delivery.with(SIGNATURE, &both);
    assert!(receiver.accepts_as_new(&delivery).await, "{secret}");
}

async fn accepts_documented_events(receiver: &ExampleReceiver, secret: &str) {
    for (number, event) in wahook_domain::samples().enumerate() {
        let delivery = Delivery::new(secret, &format!("sample-{number}"), event);
        assert!(receiver.accepts_as_new(&delivery).await, "{event}");
    }
}
