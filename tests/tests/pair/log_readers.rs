//! Log read with the mongoose model and the queries of users.

use std::io::Read;

use mongodb::bson::Document;
use serde_json::{Value, json};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::foreign::Language;
use wahook_tests::pair::Place;
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "the_log_is_readable_with_the_mongoose_model_of_users",
        mongoose,
    );
}

/// `call` fails for good, `message_ack` waits for a long retry, all others are delivered.
fn by_event(post: &Post) -> Answer {
    match post.event() {
        Some("call") if post.attempt() == Some(2) => Answer::status(410),
        Some("call" | "message_ack") => Answer::status(500),
        _ => Answer::status(200),
    }
}

async fn mongoose(test: Test) {
    let settings = [("WEBHOOK_RETRY_SCHEDULE", "200ms,5m")];
    let pair = test
        .pair(Receiver::answering(by_event).await, &settings)
        .await;
    let sent = [("call", "failed"), ("message_ack", "retrying")]
        .into_iter()
        .chain([("message_create", "success"); 10]);
    for (event, status) in sent {
        let event = json!({"event": event, "data": {"body": "Hello!", "n": {"a.b": [1, null]}}});
        let id = pair.post(&event).await.accepted_id();
        let ended = |r: &Document| r.get_str("status").is_ok_and(|found| found == status);
        pair.wait_record(&id, AT_LAST, ended).await;
    }
    let found = read(pair.place()).await;
    for (model, faults) in [("withId", json!([])), ("asUsersHaveIt", json!(["_id"]))] {
        is_right(&found[model], &faults, &pair.receiver.url());
    }
}

fn is_right(found: &Value, faults: &Value, url: &str) {
    let payload = json!({"body": "Hello!", "n": {"a.b": [1, null]}});
    let last_ten = found["lastTen"].as_array().unwrap();
    assert_eq!(last_ten.len(), 10);
    for entry in last_ten {
        let mut entry = entry.clone();
        assert!(entry["createdAt"].as_str().unwrap().ends_with('Z'));
        entry.as_object_mut().unwrap().remove("createdAt");
        let expected = json!({
            "event": "message_create", "payload": payload, "webhookUrl": url,
            "status": "success", "statusCode": 200, "retryCount": 0, "errorMessage": null,
            "createdAtIsDate": true, "faults": faults,
        });
        assert_eq!(entry, expected);
    }
    let failed = found["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["errorMessage"], "answered 410");
    assert_eq!(failed[0]["retryCount"], 1);
    assert_eq!(&failed[0]["faults"], faults);
    for (range, count) in [
        ("afterNewest", 0),
        ("beforeOldestOfTen", 2),
        ("thisHour", 12),
        ("lastHour", 0),
    ] {
        assert_eq!(found[range], count, "{range}");
    }
    let by_status = json!({"success": 10, "failed": 1, "retrying": 1});
    assert_eq!(found["byStatus"], by_status);
    // The indexes of the model equal those of the log: none is created under a second name. Two
    // more are those of the console's searches.
    let indexes = json!([
        "_id_",
        "chat_1_createdAt_-1",
        "createdAt_-1",
        "event_1_createdAt_-1",
        "messageId_1_createdAt_-1",
        "status_1_createdAt_-1"
    ]);
    assert_eq!(found["indexes"], indexes);
}

async fn read(place: &Place) -> Value {
    let settings = [
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", &place.database),
    ];
    let mut process = Language::Node
        .spawn(&["webhook-log.js"], &settings)
        .unwrap();
    let mut stdout = process.take_stdout().unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let mut output = String::new();
        stdout.read_to_string(&mut output).map(|_| output)
    });
    let status = process.wait_within(AT_LAST).await.unwrap();
    assert!(status.success());
    serde_json::from_str(&output.await.unwrap().unwrap()).unwrap()
}
