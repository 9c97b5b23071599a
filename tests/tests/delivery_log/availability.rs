//! A server that is away, silent, or back again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use wahook_delivery_log::{DeliveryLog, LogUnavailable, MongoLog};
use wahook_domain::{EndpointName, EventId};
use wahook_tests::mongod::Mongod;

use crate::{
    broken_line,
    results::{attempt, delivered, event_with, result, written},
    server::{Log, server},
};

#[tokio::test]
async fn a_log_without_a_server_says_so_soon() {
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
async fn a_frozen_server_is_given_up_and_written_to_again_when_it_thaws() {
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

/// The pool is full of dead connections then; the caller need not know.
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

/// A load balancer closes an idle socket, a primary steps down: the write may or
/// may not have happened, and it is harmless to make it again.
#[tokio::test]
async fn a_write_whose_connection_breaks_is_made_again_and_counts_once() {
    let server = server().await;
    for (command, number) in [("insert", 1), ("update", 2)] {
        let database = format!("broken_{command}");
        let port = broken_line::that_breaks_once_behind(command, server.port());
        let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
        let log = MongoLog::connect(&uri, &database).await.unwrap();
        let write = result("e1", &event_with("{}"), attempt(number, None, None));
        assert_eq!(log.write(&[write]).await.unwrap(), written(1));
        let record = Log::on(&server, &database).await.found("e1").await.unwrap();
        assert_eq!(record.attempts.len(), 1);
    }
}
