//! Consumer that ends because a part of it has panicked: without it, nothing would be acked.

use std::panic::resume_unwind;
use std::sync::Arc;

use serde_json::json;
use tokio::time::timeout;
use wahook_delivery_log::{DeliveryLog, LogFuture, WriteReport};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};
use wahook_mongo_log::MongoLog;
use wahook_runtime::Shutdown;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::receiver::Receiver;
use wahook_tests::world::{Test, Tests};

use crate::panicking::consumer_with_log;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_consumer_whose_recorder_panics_ends_with_an_error",
        recorder_panics,
    );
}

/// Log whose writes panic.
struct UnwritableLog(Arc<MongoLog>);

impl DeliveryLog for UnwritableLog {
    fn write<'a>(&'a self, _: &'a [AttemptResult]) -> LogFuture<'a, WriteReport> {
        // A panic whose message and backtrace are not printed.
        resume_unwind(Box::new("a panic that the test requires"));
    }

    fn find<'a>(
        &'a self,
        id: &'a EventId,
        endpoint: &'a EndpointName,
    ) -> LogFuture<'a, Option<DeliveryRecord>> {
        self.0.find(id, endpoint)
    }

    fn prepare(&self, retention_days: Option<u32>) -> LogFuture<'_, ()> {
        self.0.prepare(retention_days)
    }

    fn ping(&self) -> LogFuture<'_, ()> {
        DeliveryLog::ping(&*self.0)
    }
}

async fn recorder_panics(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let stopped = pair.take_consumer();
    stopped.terminate();
    assert!(stopped.wait_exit(AT_LAST).await.success());
    let url = pair.receiver.url();
    let over = |log| Arc::new(UnwritableLog(log)) as _;
    let consumer = consumer_with_log(pair.place(), &url, &[], over).await;
    let (shutdown, _trigger) = Shutdown::manual();
    let running = tokio::spawn(consumer.run(shutdown));
    let event = json!({"event": "message", "data": {}});
    let id = pair.post(&event).await.accepted_id();
    let ended = timeout(AT_LAST, running).await.unwrap().unwrap();
    let error = format!("{:#}", ended.unwrap_err());
    assert!(error.contains("ended early"), "{error}");
    assert_eq!(pair.receiver.posts_of(&id).len(), 1);
}
