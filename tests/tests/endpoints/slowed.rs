//! Endpoints that answer 429 or late, and the spread of retries.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::rate_limited::rate_limited;
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::retry_waits::{assert_spread, refusing_first_attempts};

use crate::several::{Several, total};
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_rate_limited_endpoint_receives_every_event_at_its_first_attempt",
        slowed,
    );
    tests.add("a_requested_wait_holds_deliveries_and_probes", held);
    tests.add("retries_of_many_events_are_spread_and_never_early", spread);
    tests.add(
        "an_answer_that_arrives_during_a_freeze_is_no_timeout",
        frozen,
    );
}

async fn slowed(test: Test) {
    const EVENTS: usize = 300;
    let receiver = Receiver::answering(rate_limited(30.0)).await;
    let endpoints = format!(
        "[[endpoint]]\nname = \"crm\"\nurl = \"{}\"\nretry_attempts = 0\n",
        receiver.url()
    );
    let several = Several::start(&test, 1, &endpoints).await;
    let began = Instant::now();
    several.batch("message_ack", EVENTS).await;
    let delivered = async || {
        (several.statuses("crm").await == [("success".to_owned(), EVENTS as u64)].into())
            .then_some(())
    };
    eventually(Duration::from_secs(120), "every event delivered", delivered).await;
    let posts = receiver.posts();
    eprintln!(
        "{EVENTS} events at 30/s: {} posts in {:?}",
        posts.len(),
        began.elapsed()
    );
    assert_eq!(several.depth("wahook.dead").await, 0);
    let attempts = posts.iter().map(|post| post.attempt()).max();
    assert_eq!(attempts, Some(Some(1)), "no 429 counts");
    let made = total(&several.consumers, "wahook_attempts_total", &[]).await;
    let logged = async || {
        let mut found = several.log().find(mongodb::bson::doc! {}).await.ok()?;
        let mut logged = 0;
        while found.advance().await.ok()? {
            let record = found.deserialize_current().ok()?;
            logged += record.get_array("attempts").ok()?.len();
        }
        (logged as f64 == made).then_some(())
    };
    eventually(AT_LAST, "every attempt in the log", logged).await;
    several.consumers[0].wait_logged("endpoint slowed").await;
}

async fn held(test: Test) {
    let first = AtomicBool::new(true);
    let receiver = Receiver::answering(move |_| {
        if first.swap(false, Ordering::Relaxed) {
            Answer::status(503).header("retry-after", "12")
        } else {
            Answer::status(200)
        }
    })
    .await;
    let endpoints = format!(
        "[[endpoint]]\nname = \"crm\"\nurl = \"{}\"\nconcurrency = 1\ncircuit = false\n",
        receiver.url()
    );
    let several = Several::start(&test, 1, &endpoints).await;
    several.batch("message_ack", 1).await;
    let consumer = &several.consumers[0];
    consumer
        .wait_metrics("a pause", AT_LAST, |m| m.sum("wahook_circuit_open") == 1.0)
        .await;
    several.batch("message_ack", 20).await;
    let posts = receiver.wait_for(22, Duration::from_secs(60)).await;
    let gap = posts[1].arrived - posts[0].arrived;
    assert!(gap >= Duration::from_secs(12), "{gap:?}");
    assert!(posts.iter().all(|post| post.attempt() == Some(1)));
    assert_eq!(several.depth("wahook.dead").await, 0);
}

async fn spread(test: Test) {
    let receiver = refusing_first_attempts().await;
    let endpoints = format!(
        "[[endpoint]]\nname = \"crm\"\nurl = \"{}\"\nretry_delay = 5000\n",
        receiver.url()
    );
    let several = Several::start(&test, 1, &endpoints).await;
    several.batch("message_ack", 100).await;
    let posts = receiver.wait_for(200, Duration::from_secs(60)).await;
    assert_spread(&posts, Duration::from_secs(5));
}

/// The answers arrive during the freeze, and the time limits end in it. The broker waits longer.
async fn frozen(test: Test) {
    const EVENTS: usize = 20;
    let receiver = Receiver::answering(|_| Answer::status(200).after(Duration::from_secs(1))).await;
    let endpoints = format!(
        "[[endpoint]]\nname = \"crm\"\nurl = \"{}\"\ntimeout = 4000\n",
        receiver.url()
    );
    let several = Several::start(&test, 1, &endpoints).await;
    several.batch("message_ack", EVENTS).await;
    receiver.wait_for(EVENTS, AT_LAST).await;
    several.consumers[0].freeze();
    tokio::time::sleep(Duration::from_secs(7)).await;
    several.consumers[0].thaw();
    let once = mongodb::bson::doc! { "status": "success", "attempts": { "$size": 1 } };
    eventually(AT_LAST, "all events delivered by one attempt", async || {
        let delivered = several.log().count_documents(once.clone()).await.ok()?;
        (delivered == EVENTS as u64).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), EVENTS);
}
