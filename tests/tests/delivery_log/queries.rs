//! Documented queries of users.

use mongodb::{
    Cursor,
    bson::{Document, doc},
};
use wahook_delivery_log::DeliveryLog;
use wahook_domain::{AttemptResult, Original, UnixMillis};

use crate::{
    results::{NOON, attempt, event_with, result},
    server::Log,
};

/// Log with 30 events, one per second: of ten, seven succeed, two fail and one is retrying.
async fn filled(database: &str) -> Log {
    let log = Log::named(database).await;
    let body = event_with(r#"{"body":"hello"}"#);
    let results: Vec<AttemptResult> = (0..30)
        .map(|event| {
            let attempt = match event % 10 {
                0..=6 => attempt(1, None, None),
                7 | 8 => attempt(4, Some("answered 500"), None),
                _ => attempt(1, Some("answered 500"), Some(NOON + 5_000)),
            };
            AttemptResult {
                accepted_at: UnixMillis::new(NOON + event * 1_000),
                origin: None,
                original: Original::Same,
                ..result(&format!("e{event}"), &body, attempt)
            }
        })
        .collect();
    log.log.prepare(None).await.unwrap();
    log.log.write(&results).await.unwrap();
    log
}

async fn all(mut cursor: Cursor<Document>) -> Vec<Document> {
    let mut documents = Vec::new();
    while cursor.advance().await.unwrap() {
        documents.push(cursor.deserialize_current().unwrap());
    }
    documents
}

#[tokio::test]
async fn the_latest_deliveries_are_found_by_their_age() {
    let log = filled("latest").await;
    let records = log.collection();
    let latest = records
        .find(doc! {})
        .sort(doc! { "createdAt": -1 })
        .limit(10);
    let latest = all(latest.await.unwrap()).await;
    let ids: Vec<_> = latest
        .iter()
        .map(|record| record.get_str("eventId").unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            "e29", "e28", "e27", "e26", "e25", "e24", "e23", "e22", "e21", "e20"
        ]
    );
}

#[tokio::test]
async fn failed_deliveries_are_found_by_their_status() {
    let log = filled("failed").await;
    let failed = all(log
        .collection()
        .find(doc! { "status": "failed" })
        .await
        .unwrap())
    .await;
    assert_eq!(failed.len(), 6);
    for record in failed {
        assert_eq!(record.get_i32("retryCount").unwrap(), 3);
        assert_eq!(record.get_i32("statusCode").unwrap(), 500);
        assert_eq!(record.get_str("errorMessage").unwrap(), "answered 500");
        assert!(record.get_datetime("completedAt").is_ok());
    }
}

#[tokio::test]
async fn deliveries_are_counted_by_status() {
    let log = filled("grouped").await;
    let by_status = [
        doc! { "$group": { "_id": "$status", "count": { "$sum": 1 } } },
        doc! { "$sort": { "_id": 1 } },
    ];
    let counts = all(log.collection().aggregate(by_status).await.unwrap()).await;
    let expected = [("failed", 6), ("retrying", 3), ("success", 21)];
    assert_eq!(
        counts,
        expected.map(|(status, count)| doc! { "_id": status, "count": count })
    );
}

/// Without an index each query would read the whole collection.
#[tokio::test]
async fn every_documented_query_has_an_index() {
    let log = filled("planned").await;
    for (filter, index) in [
        (doc! {}, "createdAt_-1"),
        (doc! { "status": "failed" }, "status_1_createdAt_-1"),
        (doc! { "event": "message_create" }, "event_1_createdAt_-1"),
    ] {
        let find = doc! { "find": "webhooklogs", "filter": filter, "sort": { "createdAt": -1 } };
        let plan = log
            .database
            .run_command(doc! { "explain": find })
            .await
            .unwrap();
        let plan = plan
            .get_document("queryPlanner")
            .unwrap()
            .get_document("winningPlan");
        let plan = plan.unwrap().to_string();
        assert!(
            plan.contains(&format!("\"{index}\"")) && !plan.contains("\"SORT\""),
            "{plan}"
        );
    }
}
