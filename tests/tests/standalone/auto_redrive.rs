//! Redrives after outages by the process itself, with the data file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use wahook_tests::eventually::eventually;
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const SOON: Duration = Duration::from_secs(30);
const DEAD: &str = "SELECT count(*) FROM messages WHERE queue = 'wahook.dead'";
const REFUSED: &str = "message_revoke_everyone";
const POISONED: &str = "contact_changed";

/// Receiver whose answer to most events is `status`. It always answers 404 to some events, and
/// 500 to some others.
async fn receiver(status: &Arc<AtomicU16>) -> Receiver {
    let status = Arc::clone(status);
    Receiver::answering(move |post| {
        Answer::status(match post.event() {
            Some(REFUSED) => 404,
            Some(POISONED) => 500,
            _ => status.load(Ordering::Relaxed),
        })
    })
    .await
}

async fn wait_for_dead(system: &System, count: i64) {
    eventually(SOON, &format!("{count} dead letters"), || async {
        (system.count(DEAD) == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_of_an_outage_are_redriven_after_it_and_refused_ones_are_not() {
    let status = Arc::new(AtomicU16::new(200));
    let receiver = receiver(&status).await;
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "0"),
        ("WEBHOOK_AUTO_REDRIVE", "1h"),
        ("WEBHOOK_AUTO_REDRIVE_RATE", "100"),
    ];
    let system = System::new(&receiver, &settings);
    let program = system.start().await;
    system.ended("call", "success").await;
    let refused = system.ended(REFUSED, "failed").await;
    // Too few for a pause.
    status.store(503, Ordering::Relaxed);
    let mut lost = Vec::new();
    for _ in 0..5 {
        lost.push(system.ended("message_ack", "failed").await);
    }
    wait_for_dead(&system, 6).await;
    status.store(200, Ordering::Relaxed);
    system.ended("call", "success").await;
    wait_for_dead(&system, 1).await;
    for id in &lost {
        let delivered = format!(
            "SELECT count(*) FROM webhooklogs WHERE eventId = '{id}' AND status = 'success' \
             AND json_array_length(attempts) = 2"
        );
        eventually(SOON, "a delivery after the redrive", || async {
            (system.count(&delivered) == 1).then_some(())
        })
        .await;
    }
    assert_eq!(receiver.posts_of(&refused).len(), 1);
    let metrics = system.metrics().await;
    assert_eq!(metrics.sum("wahook_auto_redriven_total"), 5.0);
    let log = program.stderr_so_far();
    assert!(
        log.contains("dead letters redriven after the endpoint recovered"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_fails_after_each_outage_is_redriven_three_times() {
    let status = Arc::new(AtomicU16::new(200));
    let receiver = receiver(&status).await;
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "0"),
        ("WEBHOOK_AUTO_REDRIVE", "1h"),
        ("WEBHOOK_AUTO_REDRIVE_RATE", "100"),
    ];
    let system = System::new(&receiver, &settings);
    let _program = system.start().await;
    let poisoned = system.ended(POISONED, "failed").await;
    for outage in 1..=5_usize {
        let posts = 1 + outage.min(3);
        // The first success after the start, and after the event died again, ends an outage.
        system.ended("call", "success").await;
        let died_again = format!(
            "SELECT count(*) FROM webhooklogs WHERE eventId = '{poisoned}' \
             AND status = 'failed' AND json_array_length(attempts) = {posts}"
        );
        eventually(SOON, "the last attempt of the event", || async {
            (system.count(&died_again) == 1).then_some(())
        })
        .await;
    }
    wait_for_dead(&system, 1).await;
    assert_eq!(receiver.posts_of(&poisoned).len(), 4);
    let metrics = system.metrics().await;
    assert_eq!(metrics.sum("wahook_auto_redriven_total"), 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_stay_without_the_setting() {
    let status = Arc::new(AtomicU16::new(500));
    let receiver = receiver(&status).await;
    let system = System::new(&receiver, &[("WEBHOOK_RETRY_ATTEMPTS", "0")]);
    let _program = system.start().await;
    system.ended("message_ack", "failed").await;
    status.store(200, Ordering::Relaxed);
    for _ in 0..3 {
        system.ended("call", "success").await;
    }
    assert_eq!(system.count(DEAD), 1);
    assert_eq!(receiver.count(), 4);
}
