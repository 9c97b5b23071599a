//! Deliveries at the webhook and their records in the log.

use mongodb::bson::{Bson, doc};
use serde_json::{Value, json};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::SECRET;
use wahook_tests::receiver::{Answer, Receiver};

use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "an_event_reaches_the_webhook_signed_and_logged",
        signed_and_logged,
    );
    for sample in wahook_domain::samples() {
        let event: Value = serde_json::from_str(sample).unwrap();
        let name = event["event"].as_str().unwrap().to_owned();
        tests.add(format!("{name}_is_delivered_unchanged"), move |test| {
            delivered_unchanged(test, sample)
        });
    }
    tests.add("the_webhook_gets_the_canonical_bytes", canonical_bytes);
    tests.add("changed_values_are_named_in_the_answer", changed_values);
    tests.add(
        "changed_values_are_refused_by_strict_validation",
        refused_changes,
    );
    tests.add("both_secrets_sign_during_a_rotation", rotation);
    tests.add("deliveries_without_a_secret_are_unsigned", unsigned);
    tests.add("an_idempotency_key_becomes_the_event_id", idempotency_key);
    tests.add(
        "every_accepted_event_is_counted_by_producer_and_consumer",
        counted,
    );
}

async fn signed_and_logged(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let event = json!({"event": "message_create", "data": {"body": "Hello!"}});
    let id = pair.post(&event).await.accepted_id();
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    let post = &posts[0];
    assert_eq!(post.header("user-agent"), Some("WhatsApp-Web-API/2.0"));
    assert_eq!(post.header("content-type"), Some("application/json"));
    assert_eq!(post.header("x-webhook-event"), Some("message_create"));
    assert_eq!((post.attempt(), post.id()), (Some(1), Some(id.as_str())));
    let verdict = post.verify(SECRET);
    assert!(verdict.is_valid(), "{verdict}");
    assert!(!post.verify("another secret").is_valid());

    let record = pair.wait_record(&id, AT_LAST, |_| true).await;
    assert_eq!(record.get_str("event").ok(), Some("message_create"));
    assert_eq!(
        record.get_document("payload").ok(),
        Some(&doc! {"body": "Hello!"})
    );
    assert_eq!(
        record.get_str("webhookUrl").ok(),
        Some(pair.receiver.url().as_str())
    );
    assert_eq!(record.get_str("status").ok(), Some("success"));
    assert_eq!(record.get("statusCode"), Some(&Bson::Int32(200)));
    assert_eq!(record.get("retryCount"), Some(&Bson::Int32(0)));
    assert_eq!(record.get("errorMessage"), Some(&Bson::Null));
    assert!(record.get_datetime("createdAt").is_ok());
    assert_eq!(record.get_str("eventId").ok(), Some(id.as_str()));
    assert_eq!(record.get_array("attempts").unwrap().len(), 1);
}

async fn delivered_unchanged(test: Test, sample: &'static str) {
    let pair = test
        .pair(
            Receiver::start().await,
            &[("PRODUCER_VALIDATION", "strict")],
        )
        .await;
    let answer = pair
        .post_with(&[("content-type", "application/json")], sample)
        .await;
    let id = answer.accepted_id();
    assert_eq!(answer.json()["warnings"], json!([]));
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].body, sample, "the samples are canonical");
    assert!(posts[0].verify(SECRET).is_valid());
    let record = pair.wait_record(&id, AT_LAST, |_| true).await;
    assert_eq!(record.get_str("status").ok(), Some("success"));
    assert_eq!(record.get_str("event").ok(), posts[0].event());
}

async fn canonical_bytes(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let sent = r#" { "extra" : 1.0, "data": {"b":1e21, "2":"\u00e9", "1":[], "b":-0}, "event":"message",
                     "timestamp" : "2024-10-01T12:00:00.000Z" } "#;
    pair.post_with(&[], sent).await.accepted_id();
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    let expected = r#"{"event":"message","data":{"1":[],"2":"é","b":0},"timestamp":"2024-10-01T12:00:00.000Z","extra":1}"#;
    assert_eq!(posts[0].body, expected);
}

async fn changed_values(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let event = r#"{"event":"test","data":{"id":9007199254740993,"n":1e999,"a":1,"a":2}}"#;
    let answer = pair.post_with(&[], event).await;
    answer.accepted_id();
    let warnings = answer.json()["warnings"].as_array().unwrap().clone();
    let pointers: Vec<_> = warnings.iter().map(|w| w["pointer"].clone()).collect();
    assert_eq!(pointers, ["/data/id", "/data/n", "/data/a"]);
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    let body: Value = serde_json::from_slice(&posts[0].body).unwrap();
    assert_eq!(
        body["data"],
        json!({"id": 9_007_199_254_740_992_u64, "n": null, "a": 2})
    );
}

async fn refused_changes(test: Test) {
    let strict = [("PRODUCER_VALIDATION", "strict")];
    let pair = test.pair(Receiver::start().await, &strict).await;
    let data =
        r#""id":"8F2A","from":"1@c.us","timestamp":1727784011,"isVideo":false,"isGroup":false"#;
    let call = |more: &str| format!(r#"{{"event":"call","data":{{{data}{more}}}}}"#);
    for (more, pointer) in [
        (r#","n":9007199254740993"#, "/data/n"),
        (r#","n":1e999"#, "/data/n"),
        (r#","isVideo":false"#, "/data/isVideo"),
    ] {
        let answer = pair.post_with(&[], call(more)).await;
        assert_eq!(answer.status.as_u16(), 422, "{more}");
        let errors = answer.json()["errors"].clone();
        assert_eq!(errors[0]["pointer"], pointer, "{errors}");
    }
    let exact = call(r#","n":9007199254740992"#);
    let id = pair.post_with(&[], exact).await.accepted_id();
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].id(), Some(id.as_str()));
    assert_eq!(pair.receiver.count(), 1);
}

async fn rotation(test: Test) {
    let old = ("WEBHOOK_SECRET_PREVIOUS", "the secret before");
    let pair = test.pair(Receiver::start().await, &[old]).await;
    pair.post(&json!({"event": "test"})).await.accepted_id();
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    assert!(posts[0].verify(SECRET).is_valid());
    let with_old = posts[0].verify(old.1);
    assert!(with_old.standard_webhooks.is_ok() && with_old.body_signature.is_err());
}

async fn unsigned(test: Test) {
    let pair = test
        .pair(Receiver::start().await, &[("WEBHOOK_SECRET", "")])
        .await;
    pair.post(&json!({"event": "test"})).await.accepted_id();
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].header("x-webhook-signature"), None);
    assert_eq!(posts[0].header("webhook-signature"), None);
    assert!(posts[0].id().is_some());
}

async fn idempotency_key(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let key = [("idempotency-key", "order-17_A")];
    let answer = pair.post_with(&key, r#"{"event":"test"}"#).await;
    assert_eq!(answer.accepted_id(), "order-17_A");
    assert_eq!(
        pair.receiver.wait_for(1, AT_LAST).await[0].id(),
        Some("order-17_A")
    );
}

async fn counted(test: Test) {
    let pair = test
        .pair(Receiver::answering(|_| Answer::status(204)).await, &[])
        .await;
    for _ in 0..20 {
        pair.post(&json!({"event": "test"})).await.accepted_id();
    }
    pair.receiver.wait_for(20, AT_LAST).await;
    let consumer = pair.take_consumer();
    let delivered = |m: &wahook_tests::program::Metrics| {
        m.sum_where("wahook_deliveries_total", &[("result", "delivered")])
    };
    let counts = consumer
        .wait_metrics("20 delivered", AT_LAST, |m| delivered(m) >= 20.0)
        .await;
    assert_eq!(delivered(&counts), 20.0);
    assert_eq!(
        counts.sum_where(
            "wahook_attempts_total",
            &[("outcome", "delivered"), ("attempt", "1")]
        ),
        20.0
    );
    assert_eq!(counts.sum("wahook_deliveries_in_flight"), 0.0);
    assert_eq!(counts.sum("wahook_delivery_end_to_end_seconds_count"), 20.0);
    // A slow write of the log is repeated through the broker.
    let logged = |m: &wahook_tests::program::Metrics| {
        let of = |path| m.sum_where("wahook_log_results_total", &[("path", path)]);
        of("direct") + of("drained")
    };
    consumer
        .wait_metrics("20 logged", AT_LAST, |m| logged(m) == 20.0)
        .await;
    let counts = pair.producer.metrics().await;
    assert_eq!(counts.sum("wahook_events_accepted_total"), 20.0);
    assert_eq!(counts.sum("wahook_publish_confirm_seconds_count"), 20.0);
}
