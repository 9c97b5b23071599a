//! `wahook-console` on RabbitMQ and MongoDB.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use wahook_domain::redaction::REDACTED;
use wahook_queue::{BrokerUri, DeadLetters};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Pair;
use wahook_tests::program::{Command, Program, ProgramName};
use wahook_tests::receiver::{Answer, Receiver};

use crate::sources;
use crate::world::{Test, Tests};

pub(crate) const TOKEN: &str = "a-token-of-good-length";

pub(crate) fn add(tests: &mut Tests) {
    tests.add("console_finds_deliveries_and_redrives", deliveries);
    tests.add("console_needs_its_token", token);
    tests.add("data_of_a_number_is_erased", erased);
    tests.add(
        "events_of_a_gateway_are_sent_again_as_received_until_they_are_erased",
        as_received,
    );
}

/// Starts a console for the queues and the log of a pair.
pub(crate) async fn console(pair: &Pair) -> Program {
    console_at(pair, &pair.place().amqp_url).await
}

pub(crate) async fn console_at(pair: &Pair, amqp_url: &str) -> Program {
    let place = pair.place();
    let console = Program::console(&[
        ("AMQP_URL", amqp_url),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
        ("CONSOLE_TOKEN", TOKEN),
    ])
    .await;
    console.wait_ready(AT_LAST).await;
    console
}

pub(crate) async fn get(console: &Program, path: &str) -> Value {
    let url = format!("{}/api/v1/{path}", console.base_url());
    let request = http_client().unwrap().get(url).bearer_auth(TOKEN);
    let body = request.send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&body).unwrap_or_default()
}

pub(crate) async fn post(console: &Program, path: &str, body: &Value) -> Value {
    let url = format!("{}/api/v1/{path}", console.base_url());
    let request = http_client().unwrap().post(url).bearer_auth(TOKEN);
    let request = request.header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await.unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default()
}

async fn deliveries(test: Test) {
    let receiver = Receiver::answering(|post| match post.event() {
        Some("call") => Answer::status(500),
        _ => Answer::status(200),
    })
    .await;
    let settings = [("WEBHOOK_RETRY_ATTEMPTS", "0"), ("WEBHOOK_CIRCUIT", "off")];
    let pair = test.pair(receiver, &settings).await;
    let console = console(&pair).await;
    let failed = pair.post(&json!({ "event": "call", "data": {} })).await;
    let failed = failed.accepted_id();
    let path = format!("deliveries?status=failed&eventId={failed}");
    eventually(AT_LAST, "the failed delivery", || async {
        let found = get(&console, &path).await;
        (found["deliveries"].as_array()?.len() == 1).then_some(())
    })
    .await;
    let detail = get(&console, &format!("deliveries/{failed}/default")).await;
    assert_eq!(detail["attempts"][0]["statusCode"], 500, "{detail}");
    let letters = eventually(AT_LAST, "the dead letter", || async {
        let letters = get(&console, "dead-letters").await;
        (letters["total"] == 1).then_some(letters)
    })
    .await;
    assert_eq!(letters["deadLetters"][0]["eventId"], failed.as_str());
    let endpoints = get(&console, "endpoints").await;
    assert_eq!(endpoints["endpoints"][0]["name"], "default", "{endpoints}");
    assert_eq!(endpoints["endpoints"][0]["failed"], 1, "{endpoints}");

    let selected = json!({ "ids": [format!("{failed}/default")] });
    let job = post(&console, "dead-letters/redrive", &selected).await;
    assert_eq!(job["count"], 1, "{job}");
    // It fails again, after another attempt.
    pair.receiver.wait_for(2, AT_LAST).await;
    assert_eq!(pair.receiver.posts_of(&failed).len(), 2);
    let sent = post(&console, "test-event", &json!({ "event": "ready" })).await;
    let id = sent["eventId"].as_str().unwrap().to_owned();
    eventually(AT_LAST, "the test event", || async {
        (pair.receiver.posts_of(&id).len() == 1).then_some(())
    })
    .await;
}

async fn as_received(test: Test) {
    let (receiver, works) = Receiver::switched().await;
    let settings = [("WEBHOOK_RETRY_ATTEMPTS", "0"), ("WEBHOOK_CIRCUIT", "off")];
    let pair = test.pair(receiver, &settings).await;
    let console = console(&pair).await;
    let (_, id) = sources::post(&pair, "gowa", &sources::HEADERS, sources::MESSAGE).await;
    let search = "deliveries?status=failed&source=gowa";
    eventually(AT_LAST, "the failure", || async {
        let found = get(&console, search).await;
        (found["deliveries"].as_array()?.len() == 1).then_some(())
    })
    .await;
    works.store(true, Ordering::Relaxed);
    for order in [
        json!({ "ids": [format!("{id}/default")] }),
        json!({ "filter": { "source": "gowa", "since": "1h" } }),
    ] {
        pair.receiver.forget();
        let started = post(&console, "redeliveries", &order).await;
        assert_eq!(end_of(&console, &started).await["done"], 1);
        let posts = pair.receiver.wait_for(1, AT_LAST).await;
        sources::check(&posts[0]);
        assert_eq!(posts[0].id(), Some(id.as_str()));
        assert_eq!(posts[0].header("x-webhook-redelivery"), Some("true"));
    }
    eventually(AT_LAST, "all attempts in the log", || async {
        let detail = get(&console, &format!("deliveries/{id}/default")).await;
        (detail["attempts"].as_array()?.len() == 3).then_some(())
    })
    .await;
    let person = json!({ "number": "15550001111" });
    let erased = post(&console, "erasures", &person).await;
    assert_eq!(erased["records"], 1, "{erased}");
    pair.receiver.forget();
    let started = post(&console, "redeliveries", &json!({ "ids": [id] })).await;
    let job = end_of(&console, &started).await;
    assert_eq!(job["failed"], 1, "{job}");
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("redacted or erased"), "{job}");
    assert_eq!(pair.receiver.count(), 0);
}

/// Waits for the end of a job, and returns it.
pub(crate) async fn end_of(console: &Program, started: &Value) -> Value {
    let path = format!("jobs/{}", started["job"].as_str().unwrap());
    eventually(AT_LAST, "the end of the job", || async {
        Some(get(console, &path).await).filter(|job| job["state"] != "running")
    })
    .await
}

async fn erased(test: Test) {
    let receiver = Receiver::answering(|_| Answer::status(500)).await;
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "0"),
        ("WEBHOOK_CIRCUIT", "off"),
        ("LOG_REDACT", "call=/data/note"),
    ];
    let pair = test.pair(receiver, &settings).await;
    let console = console(&pair).await;
    for number in ["15550001111", "15550001111", "15550002222"] {
        let from = format!("{number}@c.us");
        let data = json!({ "from": from, "note": "secret words" });
        pair.post(&json!({ "event": "call", "data": data }))
            .await
            .accepted_id();
    }
    let person = json!({ "number": "15550001111", "dryRun": true });
    let expected = json!({ "records": 2, "deadLetters": 2, "retrying": 0, "dryRun": true });
    eventually(AT_LAST, "records and dead letters", || async {
        (post(&console, "erasures", &person).await == expected).then_some(())
    })
    .await;
    let redacted = mongodb::bson::doc! { "payload.note": REDACTED };
    eventually(AT_LAST, "three records", || async {
        let count = pair.log().count_documents(redacted.clone()).await.ok()?;
        (count == 3).then_some(())
    })
    .await;
    assert!(pair.receiver.posts().iter().all(|post| {
        let body: Value = serde_json::from_slice(&post.body).unwrap();
        body["data"]["note"] == "secret words"
    }));
    let place = pair.place();
    let settings = [
        ("AMQP_URL", place.amqp_url.as_str()),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
    ];
    let arguments = ["erase", "--chat", "15550001111@c.us"];
    let broker: BrokerUri = place.amqp_url.parse().unwrap();
    let redriven = DeadLetters::open_for_auto_redrive(&broker.into(), "test").await;
    let mut redriven = redriven.unwrap().unwrap();
    let mut held = Vec::new();
    while let Some(letter) = redriven.next().await.unwrap() {
        held.push(letter);
    }
    let command = Command::start(ProgramName::Consumer, &arguments, &settings);
    let ran = command.await.finish().await;
    let expected = "2 records and 0 dead letters erased; an automatic redrive has dead letters";
    assert!(ran.printed().contains(expected), "{ran:?}");
    redriven.close().await;
    eventually(AT_LAST, "the dead letters", || async {
        let counted = post(&console, "erasures", &person).await;
        (counted["deadLetters"] == 2).then_some(())
    })
    .await;
    let command = Command::start(ProgramName::Consumer, &arguments, &settings);
    let ran = command.await.finish().await;
    let expected = "0 records and 2 dead letters erased";
    assert!(ran.printed().contains(expected), "{ran:?}");
    let chats = pair
        .log()
        .distinct("chat", mongodb::bson::doc! {})
        .await
        .unwrap();
    let chats: Vec<_> = chats.iter().filter_map(|chat| chat.as_str()).collect();
    assert_eq!(chats, ["15550002222@c.us"]);
    let letters = get(&console, "dead-letters").await;
    assert_eq!(letters["total"], 1, "{letters}");
}

async fn token(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let console = console(&pair).await;
    let http = http_client().unwrap();
    let url = format!("{}/api/v1/deliveries", console.base_url());
    let status = async |token: Option<&str>| {
        let request = http.get(&url);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(None).await, 401);
    assert_eq!(status(Some(TOKEN)).await, 200);
    for _ in 0..10 {
        assert_eq!(status(Some("a-wrong-token-of-good-length")).await, 401);
    }
    assert_eq!(status(Some("a-wrong-token-of-good-length")).await, 429);
    assert_eq!(status(Some(TOKEN)).await, 429);
    let page = http.get(console.base_url()).send().await.unwrap();
    assert!(page.headers().contains_key("content-security-policy"));
}
