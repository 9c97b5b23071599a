//! Order keys: AMQP header `x-key`, from acceptance over retries to the dead letter.

use std::collections::BTreeMap;

use lapin::types::AMQPValue;
use reqwest::StatusCode;
use serde_json::Value;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::Pair;
use wahook_tests::receiver::{Answer, Receiver};

use crate::dead_letters::{channel, dead_letter};
use crate::sources::{self, MESSAGE};
use crate::world::{Test, Tests};

const KEY: (&str, &str) = ("x-webhook-key", "order-7");
const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_key_is_that_of_the_sender_or_the_chat_and_stays_with_its_event",
        keys,
    );
    tests.add(
        "an_invalid_key_of_a_gateway_or_a_batch_is_refused",
        invalid_keys,
    );
}

/// Returns the keys of the dead letters by the ids of their events.
async fn dead_keys(pair: &Pair, count: usize) -> BTreeMap<String, Option<String>> {
    let (connection, channel) = channel(pair).await;
    let mut found = BTreeMap::new();
    while found.len() < count {
        let dead = dead_letter(&channel, AT_LAST).await;
        let id = dead.properties.message_id().as_ref().unwrap().to_string();
        let headers = dead.properties.headers().as_ref().unwrap().inner();
        assert_eq!(headers["x-attempt"], AMQPValue::LongLongInt(2));
        let key = headers.get("x-key").map(|key| match key {
            AMQPValue::LongString(text) => text.to_string(),
            other => panic!("{other:?}"),
        });
        found.insert(id, key);
    }
    connection.close(200, "done".into()).await.unwrap();
    found
}

/// Posts two events, of which only the first names a chat.
async fn post_batch(pair: &Pair) -> Vec<String> {
    let lines = "{\"event\":\"call\",\"data\":{\"from\":\"1@c.us\"}}\n{\"event\":\"ready\"}\n";
    let headers = [("content-type", "application/x-ndjson"), KEY];
    let answer = pair.post_with(&headers, lines).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let ids = answer.body.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["id"].as_str().unwrap().to_owned()
    });
    ids.collect()
}

async fn keys(test: Test) {
    let failing = Receiver::answering(|_| Answer::status(500)).await;
    let settings = [
        ("WEBHOOK_RETRY_DELAY", "100"),
        ("WEBHOOK_RETRY_ATTEMPTS", "1"),
    ];
    let pair = test.pair(failing, &settings).await;
    let call = r#"{"event":"call","data":{"from":"1:7@s.whatsapp.net"}}"#;
    let of_chat = pair.post_with(&[JSON], call).await.accepted_id();
    let of_sender = pair.post_with(&[JSON, KEY], call).await.accepted_id();
    let ready = pair.post_with(&[JSON], r#"{"event":"ready"}"#).await;
    let of_none = ready.accepted_id();
    let (_, of_gateway) = sources::post(&pair, "gowa", &[JSON], MESSAGE).await;
    let again = MESSAGE.replace("3EB0C127", "3EB0C128");
    let (_, of_gateways_sender) = sources::post(&pair, "gowa", &[JSON, KEY], &again).await;
    let batch = post_batch(&pair).await;

    let sent = Some("k:order-7".to_owned());
    let mut expected = BTreeMap::from([
        (of_chat, Some("c:1@c.us".to_owned())),
        (of_sender, sent.clone()),
        (of_none, None),
        (of_gateway, Some("c:gowa/org_2/15550001111@c.us".to_owned())),
        (of_gateways_sender, sent.clone()),
    ]);
    expected.extend(batch.into_iter().map(|id| (id, sent.clone())));
    assert_eq!(dead_keys(&pair, expected.len()).await, expected);
}

async fn invalid_keys(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let bad = ("x-webhook-key", "");
    let batch = [("content-type", "application/x-ndjson"), bad];
    let answer = pair.post_with(&batch, "{\"event\":\"ready\"}\n").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let code = "urn:wahook:problem:invalid-webhook-key";
    assert_eq!(answer.json()["type"], code);
    let url = format!("{}/v1/in/gowa", pair.producer.base_url());
    let http = wahook_tests::http_client::http_client().unwrap();
    let request = http.post(url).header(JSON.0, JSON.1).body(MESSAGE);
    let twice = request.header(KEY.0, KEY.1).header(KEY.0, KEY.1);
    let answer = twice.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(problem["type"], code);
    assert_eq!(problem["detail"], "send it only once");
}
