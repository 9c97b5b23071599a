//! Indexes and retention.

use std::{sync::Arc, time::Duration};

use mongodb::bson::{Document, doc};
use wahook_delivery_log::{DeliveryLog, LogReader};

use crate::{
    results::{delivered, event_with, written},
    server::Log,
};

const DAY: i64 = 86_400;

impl Log {
    /// Returns key and lifetime of every index, sorted by the key.
    async fn indexes(&self) -> Vec<(String, Option<i64>)> {
        let list = doc! { "listIndexes": "webhooklogs" };
        let mut cursor = self.database.run_cursor_command(list).await.unwrap();
        let mut indexes = Vec::new();
        while cursor.advance().await.unwrap() {
            let index: Document = cursor.deserialize_current().unwrap();
            let lifetime = index.get("expireAfterSeconds").map(|lifetime| {
                let whole = lifetime.as_i64().or(lifetime.as_i32().map(i64::from));
                whole.unwrap_or_else(|| panic!("{index}"))
            });
            indexes.push((index.get_document("key").unwrap().to_string(), lifetime));
        }
        indexes.sort();
        indexes
    }
}

fn expected(lifetime: Option<i64>) -> Vec<(String, Option<i64>)> {
    let mut indexes = vec![
        (doc! { "_id": 1 }.to_string(), None),
        (doc! { "createdAt": -1 }.to_string(), None),
        (doc! { "status": 1, "createdAt": -1 }.to_string(), None),
        (doc! { "event": 1, "createdAt": -1 }.to_string(), None),
        (doc! { "chat": 1, "createdAt": -1 }.to_string(), None),
        (doc! { "messageId": 1, "createdAt": -1 }.to_string(), None),
    ];
    if lifetime.is_some() {
        indexes.push((doc! { "createdAt": 1 }.to_string(), lifetime));
    }
    indexes.sort();
    indexes
}

#[tokio::test]
async fn retention_follows_the_setting_at_every_start() {
    let log = Log::named("retention").await;
    for days in [
        None,
        None,
        Some(30),
        Some(30),
        Some(7),
        None,
        Some(1),
        Some(0),
        Some(u32::MAX),
    ] {
        log.log.prepare(days).await.unwrap();
        let lifetime = match days {
            None | Some(0) => None,
            Some(u32::MAX) => Some(i64::from(i32::MAX)),
            Some(days) => Some(i64::from(days) * DAY),
        };
        assert_eq!(log.indexes().await, expected(lifetime), "{days:?}");
    }
}

#[tokio::test]
async fn existing_indexes_of_users_are_reused() {
    let log = Log::named("theirs").await;
    let index = doc! { "key": { "createdAt": -1.0 }, "name": "newest first" };
    let create = doc! { "createIndexes": "webhooklogs", "indexes": [index] };
    log.database.run_command(create).await.unwrap();
    log.log.prepare(None).await.unwrap();
    assert_eq!(log.indexes().await.len(), 6);
    log.log.prepare(Some(30)).await.unwrap();
    let lifetimes: Vec<_> = log
        .indexes()
        .await
        .into_iter()
        .filter_map(|(_, lifetime)| lifetime)
        .collect();
    assert_eq!(lifetimes, [30 * DAY]);
}

/// Version 0.1 gave the descending index a lifetime.
#[tokio::test]
async fn lifetime_of_an_earlier_version_moves_to_the_ascending_index() {
    let log = Log::named("moved").await;
    let index =
        doc! { "key": { "createdAt": -1 }, "name": "createdAt_-1", "expireAfterSeconds": 30 * DAY };
    let create = doc! { "createIndexes": "webhooklogs", "indexes": [index] };
    for days in [Some(30), Some(7), None] {
        let earlier = log.database.run_command(create.clone()).await;
        earlier.unwrap();
        let lifetime = log.log.lifetime().await.unwrap();
        assert_eq!(lifetime, Some(Duration::from_hours(30 * 24)));
        log.log.prepare(days).await.unwrap();
        let lifetime = days.map(|days| i64::from(days) * DAY);
        assert_eq!(log.indexes().await, expected(lifetime), "{days:?}");
        log.collection().drop_indexes().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_preparations_of_the_log_succeed() {
    let log = Arc::new(Log::named("together").await);
    for days in [Some(30), Some(7), None] {
        let programs: Vec<_> = (0..6)
            .map(|_| {
                let log = Arc::clone(&log);
                tokio::spawn(async move { log.log.prepare(days).await })
            })
            .collect();
        for program in programs {
            program.await.unwrap().unwrap();
        }
        assert_eq!(
            log.indexes().await,
            expected(days.map(|days| i64::from(days) * DAY))
        );
    }
}

/// Writes need no index except that of `_id`.
#[tokio::test]
async fn an_unprepared_log_accepts_results() {
    let log = Log::named("unprepared").await;
    let report = log.log.write(&[delivered("e1", &event_with("{}"))]).await;
    assert_eq!(report.unwrap(), written(1));
}
