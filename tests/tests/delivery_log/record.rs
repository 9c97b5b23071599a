//! Documented form of a record.

use std::slice;

use mongodb::bson::{DateTime, Document, doc};
use wahook_delivery_log::DeliveryLog;

use crate::{
    results::{NOON, attempt, delivered, event_with, result, written},
    server::Log,
};

#[tokio::test]
async fn a_delivery_is_recorded_in_the_documented_shape() {
    let log = Log::named("shape").await;
    let body =
        event_with(r#"{"id":{"_serialized":"true_1@c.us_A"},"body":"hi","ack":1,"lat":1.5}"#);
    let failed = result(
        "e1",
        &body,
        attempt(1, Some("answered 500"), Some(NOON + 5_020)),
    );
    log.log.write(&[failed]).await.unwrap();
    log.log
        .write(&[result("e1", &body, attempt(2, None, None))])
        .await
        .unwrap();

    let at = |ms: i64| DateTime::from_millis(NOON + ms);
    let expected = doc! {
        "_id": "e1/default",
        "event": "message_create",
        "webhookUrl": "https://example.test/hook",
        "status": "success",
        "statusCode": 200,
        "retryCount": 1,
        "errorMessage": null,
        "createdAt": at(0),
        "updatedAt": at(5_032),
        "lastRetryAt": at(5_020),
        "completedAt": at(5_032),
        "nextAttemptAt": null,
        "eventId": "e1",
        "endpoint": "default",
        "attempts": [
            {
                "queuedAt": at(0), "number": 1, "startedAt": at(20), "durationMs": 12,
                "statusCode": 500,
                "error": "answered 500", "nextAttemptAt": at(5_020),
                "webhookUrl": "https://example.test/hook",
            },
            {
                "queuedAt": at(0), "number": 2, "startedAt": at(5_020), "durationMs": 12,
                "statusCode": 200,
                "error": null, "nextAttemptAt": null,
                "webhookUrl": "https://example.test/hook",
            },
        ],
        "timestamp": "2024-10-01T12:00:00.000Z",
        "chat": "1@c.us",
        "messageId": "true_1@c.us_A",
        "payload": {
            "id": { "_serialized": "true_1@c.us_A" }, "body": "hi", "ack": 1, "lat": 1.5,
        },
    };
    let stored = log.stored("e1").await;
    assert_eq!(stored.to_string(), expected.to_string());
}

/// An insert and a merge yield the same record, including the order of fields.
#[tokio::test]
async fn inserted_and_merged_records_are_identical() {
    let log = Log::named("ways").await;
    let body = event_with(r#"{"text":"$name","n":{"$set":1}}"#);
    for (case, error, next) in [
        ("delivered", None, None),
        ("retrying", Some("no answer in 30 s"), Some(NOON + 9)),
        ("failed", Some("no answer in 30 s"), None),
    ] {
        let first = result(case, &body, attempt(1, error, next));
        assert_eq!(
            log.log.write(slice::from_ref(&first)).await.unwrap(),
            written(1)
        );
        let inserted = log.stored(case).await;
        // The record exists, so these writes are merges.
        assert_eq!(
            log.log.write(&[first.clone(), first]).await.unwrap(),
            written(2)
        );
        assert_eq!(log.stored(case).await.to_string(), inserted.to_string());

        // A second attempt is merged without a record.
        let second = result(&format!("{case}-2"), &body, attempt(2, error, next));
        log.log.write(slice::from_ref(&second)).await.unwrap();
        let merged = log.stored(&format!("{case}-2")).await;
        let names = |document: &Document| document.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&merged), names(&inserted));
        assert_eq!(merged.get("payload"), inserted.get("payload"));
    }
}

#[tokio::test]
async fn fields_added_by_users_are_kept() {
    let log = Log::named("additions").await;
    let body = event_with("{}");
    log.log.write(&[delivered("e1", &body)]).await.unwrap();
    let note = doc! { "$set": { "note": "looked at" } };
    log.collection()
        .update_one(doc! { "_id": "e1/default" }, note)
        .await
        .unwrap();
    log.log
        .write(&[result("e1", &body, attempt(2, None, None))])
        .await
        .unwrap();
    assert_eq!(log.stored("e1").await.get_str("note").unwrap(), "looked at");
}
