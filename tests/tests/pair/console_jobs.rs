//! Jobs of consoles that are killed, or have no broker.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::program::Program;
use wahook_tests::receiver::Receiver;
use wahook_tests::tcp_proxy::{Network, TcpProxy};

use crate::console::{console, console_at, end_of, get, post};
use crate::world::{Test, Tests};

/// Events of a job that is killed.
const EVENTS: usize = 500;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "console_continues_the_job_of_a_killed_one",
        |test| async move {
            let selected = json!({ "filter": { "status": "failed", "since": "1h" }, "rate": 20 });
            killed(test, "redeliveries", selected, EVENTS / 2).await;
        },
    );
    tests.add(
        "console_that_is_killed_again_queues_one_event_a_third_time_at_most",
        killed_again,
    );
    tests.add(
        "console_starts_a_job_when_the_broker_is_connected",
        not_connected,
    );
    tests.add(
        "console_continues_the_redrive_of_a_killed_one",
        |test| async move {
            killed(test, "dead-letters/redrive", json!({ "filter": {} }), 1).await;
        },
    );
}

/// Kills a console after this number of posts by its job.
async fn killed(test: Test, path: &str, selected: Value, posts: usize) {
    let (receiver, works) = Receiver::switched().await;
    let settings = [("WEBHOOK_RETRY_ATTEMPTS", "0"), ("WEBHOOK_CIRCUIT", "off")];
    let pair = test.pair(receiver, &settings).await;
    let first = console(&pair).await;
    let mut ids = Vec::new();
    for _ in 0..EVENTS {
        let posted = pair.post(&json!({ "event": "call", "data": {} })).await;
        ids.push(posted.accepted_id());
    }
    let mut counting = selected.clone();
    counting["dryRun"] = json!(true);
    eventually(AT_LAST, "the failures", || async {
        let counted = post(&first, path, &counting).await;
        (counted["count"] == EVENTS).then_some(())
    })
    .await;
    pair.receiver.forget();
    works.store(true, Ordering::Relaxed);
    let started = post(&first, path, &selected).await;
    pair.receiver.wait_for(posts, AT_LAST).await;
    first.kill9().await;
    let is_counted = path == "redeliveries";
    assert!(
        !is_counted || pair.receiver.count() < EVENTS,
        "killed too late"
    );
    let second = console(&pair).await;
    let job = end_of(&second, &started).await;
    assert_eq!(job["state"], "done", "{job}");
    assert!(!is_counted || job["done"] == EVENTS, "{job}");
    eventually(AT_LAST, "all redeliveries", || async {
        let mut ids = ids.iter();
        let is_sent = |id: &String| !pair.receiver.posts_of(id).is_empty();
        ids.all(is_sent).then_some(())
    })
    .await;
    for id in &ids {
        assert!(pair.receiver.posts_of(id).len() <= 2, "{id}");
    }
}

/// Kills two consoles at their work, while no consumer attempts.
async fn killed_again(test: Test) {
    const FAILURES: u64 = 40;
    let (receiver, works) = Receiver::switched().await;
    let settings = [("WEBHOOK_RETRY_ATTEMPTS", "0"), ("WEBHOOK_CIRCUIT", "off")];
    let pair = test.pair(receiver, &settings).await;
    let first = console(&pair).await;
    for _ in 0..FAILURES {
        let posted = pair.post(&json!({ "event": "call", "data": {} })).await;
        posted.accepted_id();
    }
    let selected = json!({ "filter": { "status": "failed", "since": "1h" }, "rate": 3 });
    let mut counting = selected.clone();
    counting["dryRun"] = json!(true);
    eventually(AT_LAST, "the failures", || async {
        let counted = post(&first, "redeliveries", &counting).await;
        (counted["count"] == FAILURES).then_some(())
    })
    .await;
    let consumer = pair.take_consumer();
    consumer.terminate();
    assert!(consumer.wait_exit(AT_LAST).await.success());
    pair.receiver.forget();
    works.store(true, Ordering::Relaxed);
    let started = post(&first, "redeliveries", &selected).await;
    let sent = queued(&first, 9).await;
    first.kill9().await;
    end_leases(&pair).await;
    let second = console(&pair).await;
    queued(&second, sent + 3).await;
    second.kill9().await;
    end_leases(&pair).await;
    let third = console(&pair).await;
    let job = end_of(&third, &started).await;
    assert_eq!(job["done"], FAILURES, "{job}");

    let sent = queued(&third, FAILURES).await;
    pair.add_consumer().await;
    let sent = usize::try_from(sent).unwrap();
    let posts = pair.receiver.wait_for(sent, AT_LAST).await;
    let mut times = BTreeMap::new();
    for post in &posts {
        *times.entry(post.id().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(times.len() as u64, FAILURES);
    let beyond: usize = times
        .values()
        .map(|times: &usize| times.saturating_sub(2))
        .sum();
    assert!(beyond <= 1, "{times:?}");
}

async fn not_connected(test: Test) {
    let (receiver, works) = Receiver::switched().await;
    let settings = [("WEBHOOK_RETRY_ATTEMPTS", "0"), ("WEBHOOK_CIRCUIT", "off")];
    let pair = test.pair(receiver, &settings).await;
    let (network, through_proxy) = TcpProxy::to_server_of(&pair.place().amqp_url).await;
    network.set(Network::Cut);
    let console = console_at(&pair, &through_proxy).await;
    let posted = pair.post(&json!({ "event": "call", "data": {} })).await;
    let id = posted.accepted_id();
    eventually(AT_LAST, "the failure", || async {
        let found = get(&console, "deliveries?status=failed").await;
        (found["deliveries"].as_array()?.len() == 1).then_some(())
    })
    .await;
    works.store(true, Ordering::Relaxed);
    pair.receiver.forget();
    let started = post(&console, "redeliveries", &json!({ "ids": [id] })).await;
    network.set(Network::Works);
    let job = end_of(&console, &started).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(1)));
    pair.receiver.wait_for(1, AT_LAST).await;
}

/// Waits until this number of events is queued, and returns their number.
async fn queued(console: &Program, least: u64) -> u64 {
    eventually(AT_LAST, "the queued events", || async {
        let endpoints = get(console, "endpoints").await;
        let queued = endpoints["endpoints"][0]["queued"].as_u64()?;
        (queued >= least).then_some(queued)
    })
    .await
}

/// Ends the leases of killed consoles, for which another one would wait 20 s.
async fn end_leases(pair: &Pair) {
    let jobs = pair.log().client().database(&pair.place().database);
    let jobs = jobs.collection::<mongodb::bson::Document>("wahookjobs");
    let ended = mongodb::bson::DateTime::from_millis(0);
    let ended = mongodb::bson::doc! { "$set": { "claimedUntil": ended } };
    jobs.update_many(mongodb::bson::doc! {}, ended)
        .await
        .unwrap();
}
