//! Memory of a consumer whose queues are full of large events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::image::allocator;
use wahook_tests::process::memory;
use wahook_tests::receiver::{Answer, Receiver};

use crate::several::Several;
use crate::world::{Test, Tests};

const WHILE_DELIVERED: Duration = Duration::from_secs(300);
/// Long enough for a whole prefetch to arrive.
const HELD: Duration = Duration::from_secs(5);
const CONCURRENCY: usize = 4;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "backlog_of_15_mib_events_is_delivered_once_within_the_memory_limit",
        large_events,
    );
}

/// Receiver that counts the deliveries of each event, and does not keep them.
struct Counting {
    receiver: Receiver,
    deliveries: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Counting {
    /// Starts a receiver that holds the first `held` large events for a while.
    async fn start(held: usize) -> Self {
        let deliveries: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let (seen, large) = (Arc::clone(&deliveries), AtomicUsize::new(0));
        let receiver = Receiver::answering(move |post| {
            let id = post.id().unwrap_or_default().to_owned();
            *seen.lock().unwrap().entry(id).or_default() += 1;
            let is_large = post.body.len() > 1 << 20;
            let is_held = is_large && large.fetch_add(1, Ordering::Relaxed) < held;
            Answer::status(200).after(if is_held { HELD } else { Duration::ZERO })
        });
        let receiver = receiver.await;
        Self {
            receiver,
            deliveries,
        }
    }

    async fn wait_for(&self, events: usize) {
        eventually(WHILE_DELIVERED, "all events", || async {
            self.receiver.forget();
            (self.deliveries.lock().unwrap().len() == events).then_some(())
        })
        .await;
    }

    fn assert_once(&self) {
        let deliveries = self.deliveries.lock().unwrap();
        let twice: Vec<_> = deliveries.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "of {}: {twice:?}", deliveries.len());
    }
}

fn event(number: usize, media: &str) -> Value {
    json!({"event": "media", "data": {"number": number, "media": media}})
}

async fn large_events(test: Test) {
    const SMALL: usize = 300;
    const LARGE: usize = 32;
    const BUDGET: u64 = 64 << 20;
    // Twice the budget, and 192 MiB: as the warning at start computes it.
    const LIMIT_KIB: u64 = (2 * BUDGET + (192 << 20)) >> 10;
    let slow = Counting::start(CONCURRENCY).await;
    let fast = Counting::start(0).await;
    let endpoints = [("slow", &slow), ("fast", &fast)].map(|(name, counting)| {
        let url = counting.receiver.url();
        // On a busy machine the body alone can take the usual timeout, and a retry would follow.
        format!(
            "[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\ntimeout = 120000\nconcurrency = {CONCURRENCY}\n"
        )
    });
    let mut settings = allocator("consumer").unwrap();
    settings.push(("CONSUMER_MEMORY_BUDGET_BYTES", BUDGET.to_string()));
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let endpoints = endpoints.concat();
    let mut several = Several::start_with(&test, 1, &endpoints, &settings).await;
    let stopped = several.consumers.remove(0);
    stopped.terminate();
    assert!(stopped.wait_exit(AT_LAST).await.success());
    let media = "x".repeat((14 << 20) + (900 << 10));
    let small = || (0..SMALL).map(|number| event(number, ""));
    let large = (0..LARGE).map(|number| event(number, &media));
    for event in small().chain(large).chain(small()) {
        several.post(&event).await;
    }

    several.start_consumer(&settings).await;
    for counting in [&slow, &fast] {
        counting.wait_for(2 * SMALL + LARGE).await;
    }
    let consumer = &several.consumers[0];
    let (_, peak) = memory(consumer.pid()).unwrap();
    eprintln!(
        "peak of {} MiB, limit of {} MiB",
        peak >> 10,
        LIMIT_KIB >> 10
    );
    assert!(peak < LIMIT_KIB, "peak of {peak} KiB");
    consumer.wait_logged("large events").await;
    for counting in [&slow, &fast] {
        counting.assert_once();
    }
}
