//! Endpoints that refuse some events, every event, or are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::several::{Several, total};
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "events_that_an_endpoint_takes_are_delivered_while_it_refuses_others",
        selective,
    );
    tests.add(
        "good_events_after_rejected_ones_are_delivered_at_once",
        rejected,
    );
    tests.add(
        "an_endpoint_that_refuses_everything_is_paused_and_resumes",
        all_refused,
    );
    tests.add("a_removed_endpoint_is_paused_after_a_few_events", gone);
}

fn endpoint(receiver: &Receiver, settings: &str) -> String {
    let url = receiver.url();
    format!("[[endpoint]]\nname = \"crm\"\nurl = \"{url}\"\n{settings}\n")
}

fn is(post: &Post, event: &str) -> bool {
    post.event() == Some(event)
}

async fn wait_dead(several: &Several, count: u32) {
    let dead = async || (several.depth("wahook.dead").await >= count).then_some(());
    eventually(AT_LAST, "dead letters", dead).await;
}

async fn selective(test: Test) {
    let taken = |post: &Post| if is(post, "message_create") { 200 } else { 404 };
    let receiver = Receiver::answering(move |post| Answer::status(taken(post))).await;
    let endpoints = endpoint(&receiver, "retry_delay = 200");
    let several = Several::start(&test, 1, &endpoints).await;
    let mut refused = 0;
    for round in 1..=40 {
        several.batch("message_ack", 9).await;
        several.batch("message_create", 1).await;
        refused += 9;
        receiver
            .wait_until("the event that it takes", AT_LAST, |posts| {
                posts
                    .iter()
                    .filter(|post| is(post, "message_create"))
                    .count()
                    == round
            })
            .await;
        // From here on, refused events are dead-lettered meanwhile.
        if round == 20 {
            wait_dead(&several, 40).await;
        }
    }
    wait_dead(&several, refused).await;
    assert_eq!(several.depth("wahook.dead").await, refused);
    let pauses = total(&several.consumers, "wahook_circuit_opened_total", &[]).await;
    assert_eq!(pauses, 0.0);
    let posts = receiver.posts();
    let attempts = posts.iter().filter(|post| is(post, "message_ack")).count();
    assert_eq!(attempts as u32, refused * 4, "four attempts each");
}

async fn rejected(test: Test) {
    let taken = |post: &Post| if is(post, "good") { 200 } else { 400 };
    let receiver = Receiver::answering(move |post| Answer::status(taken(post))).await;
    let endpoints = endpoint(&receiver, "retry_delay = 100");
    let several = Several::start(&test, 1, &endpoints).await;
    several.batch("bad", 40).await;
    wait_dead(&several, 40).await;
    several.batch("good", 10).await;
    receiver
        .wait_until("the good events", AT_LAST, |posts| {
            posts.iter().filter(|post| is(post, "good")).count() == 10
        })
        .await;
}

async fn all_refused(test: Test) {
    let status = Arc::new(AtomicU16::new(404));
    let answers = Arc::clone(&status);
    let receiver =
        Receiver::answering(move |_| Answer::status(answers.load(Ordering::Relaxed))).await;
    let settings = "retry_delay = 3000\ncircuit = { failures = 5, window = 4000 }";
    let several = Several::start(&test, 1, &endpoint(&receiver, settings)).await;
    several.batch("message_ack", 60).await;
    let consumer = &several.consumers[0];
    consumer
        .wait_metrics("a pause", AT_LAST, |m| m.sum("wahook_circuit_open") == 1.0)
        .await;
    let probes = |m: &wahook_tests::program::Metrics| m.sum("wahook_probes_total");
    consumer
        .wait_metrics("two probes", AT_LAST, |m| probes(m) >= 2.0)
        .await;
    let refused = receiver.posts();
    let ids: Vec<_> = refused.iter().rev().take(2).map(|post| post.id()).collect();
    assert_ne!(ids[0], ids[1], "probes are made with different events");
    receiver.forget();
    status.store(200, Ordering::Relaxed);
    receiver
        .wait_until("all events", AT_LAST, |posts| posts.len() >= 60)
        .await;
    assert_eq!(several.depth("wahook.dead").await, 0);
}

async fn gone(test: Test) {
    let receiver = Receiver::answering(|_| Answer::status(410)).await;
    let settings = "concurrency = 1\nretry_delay = 100";
    let several = Several::start(&test, 1, &endpoint(&receiver, settings)).await;
    several.batch("message_ack", 50).await;
    let consumer = &several.consumers[0];
    consumer
        .wait_metrics("a pause", AT_LAST, |m| m.sum("wahook_circuit_open") == 1.0)
        .await;
    let waiting = async || (several.depth("wahook.deliver.crm").await >= 40).then_some(());
    eventually(AT_LAST, "events in the queue", waiting).await;
    wait_dead(&several, 4).await;
    let dead = several.depth("wahook.dead").await;
    assert!(dead <= 5, "{dead} dead letters");
    let attempts = receiver.posts().iter().map(|post| post.attempt()).max();
    assert_eq!(attempts, Some(Some(1)), "no event is retried");
    consumer.wait_logged("answered 410").await;
}
