//! Memory of a consumer whose queue is full of large events.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use wahook_tests::eventually::eventually;
use wahook_tests::process::memory;
use wahook_tests::receiver::{Answer, Receiver};

use crate::world::{Test, Tests};

const EVENTS: usize = 400;
const LIMIT_KIB: u64 = 200 << 10;
const WHILE_DELIVERED: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(20);

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "400_queued_events_of_1_mb_are_delivered_within_the_memory_limit",
        large_events,
    );
}

async fn large_events(test: Test) {
    let ids = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&ids);
    // Slow, so that the queue is never empty.
    let receiver = Receiver::answering(move |post| {
        seen.lock().unwrap().extend(post.id().map(str::to_owned));
        Answer::status(200).after(Duration::from_secs(1))
    });
    let pair = test.pair(receiver.await, &[]).await;
    let stopped = pair.take_consumer();
    stopped.terminate();
    assert!(stopped.wait_exit(SOON).await.success());
    let media = "x".repeat(1_000_000);
    for number in 0..EVENTS {
        let event = json!({"event": "media", "data": {"number": number, "media": media}});
        pair.post(&event).await.accepted_id();
    }

    pair.add_consumer().await;
    eventually(WHILE_DELIVERED, "all events", || async {
        // The receiver must not keep them all.
        pair.receiver.forget();
        (ids.lock().unwrap().len() == EVENTS).then_some(())
    })
    .await;
    let (_, peak) = memory(pair.take_consumer().pid()).unwrap();
    assert!(peak < LIMIT_KIB, "peak of {peak} KiB");
}
