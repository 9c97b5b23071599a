//! Unavailable, silent and restarted servers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use wahook_delivery_log::{DeliveryLog, LogUnavailable};
use wahook_domain::{EndpointName, EventId};
use wahook_mongo_log::MongoLog;
use wahook_tests::mongod::Mongod;

use crate::{
    broken_connection,
    results::{attempt, delivered, event_with, result, written},
    server::{Log, server},
};

#[tokio::test]
async fn a_log_without_a_server_fails_within_10_s() {
    // Nothing listens on port 1.
    let log = MongoLog::connect("mongodb://127.0.0.1:1/", "whatsapp-api")
        .await
        .unwrap();
    let started = Instant::now();
    let written = log.write(&[delivered("e1", &event_with("{}"))]).await;
    assert!(
        matches!(written, Err(LogUnavailable::Server(_))),
        "{written:?}"
    );
    let id = EventId::parse("e1").unwrap();
    assert!(log.find(&id, &EndpointName::default()).await.is_err());
    assert!(log.prepare(Some(30)).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_write_to_a_frozen_server_times_out_and_succeeds_after_a_thaw() {
    let server = Arc::new(Mongod::start().await);
    let log = Log::on(&server, "frozen").await;
    let results = [delivered("e1", &event_with("{}"))];
    log.log.ping().await.unwrap();
    server.freeze();
    let unanswered = log.log.write(&results).await;
    assert!(
        matches!(unanswered, Err(LogUnavailable::NoAnswer(_))),
        "{unanswered:?}"
    );
    server.thaw();
    assert_eq!(log.log.write(&results).await.unwrap(), written(1));
    assert_eq!(log.found("e1").await.unwrap().attempts.len(), 1);
}

/// The pool is full of broken connections then, which must not fail the caller.
#[tokio::test]
async fn the_first_write_after_a_restart_of_the_server_succeeds() {
    let server = Arc::new(Mongod::start().await);
    let log = Log::on(&server, "restarted").await;
    let body = event_with("{}");
    log.log.write(&[delivered("before", &body)]).await.unwrap();
    server.kill9().await;
    server.restart().await;
    assert_eq!(
        log.log.write(&[delivered("after", &body)]).await.unwrap(),
        written(1)
    );
    assert!(log.found("before").await.is_some());
}

/// A closed idle socket or a primary that steps down leaves open whether the write
/// has happened; a retry is harmless.
#[tokio::test]
async fn a_write_whose_connection_breaks_is_retried_and_counts_once() {
    let server = server().await;
    for (command, number) in [("insert", 1), ("update", 2)] {
        let database = format!("broken_{command}");
        let port = broken_connection::breaking_once_after(command, server.port());
        let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
        let log = MongoLog::connect(&uri, &database).await.unwrap();
        let write = result("e1", &event_with("{}"), attempt(number, None, None));
        assert_eq!(log.write(&[write]).await.unwrap(), written(1));
        let record = Log::on(&server, &database).await.found("e1").await.unwrap();
        assert_eq!(record.attempts.len(), 1);
    }
}
