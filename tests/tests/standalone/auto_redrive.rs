//! Redrives after outages by the process itself, with the data file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

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

/// Returns a system that redrives dead letters by itself.
fn system(receiver: &Receiver) -> System {
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "0"),
        ("WEBHOOK_AUTO_REDRIVE", "1h"),
        ("WEBHOOK_AUTO_REDRIVE_RATE", "100"),
    ];
    System::new(receiver, &settings)
}

async fn wait_for_dead(system: &System, count: i64) {
    eventually(AT_LAST, &format!("{count} dead letters"), || async {
        (system.count(DEAD) == count).then_some(())
    })
    .await;
}

async fn wait_for_attempts(system: &System, id: &str, status: &str, attempts: u32) {
    let record = format!(
        "SELECT count(*) FROM webhooklogs WHERE eventId = '{id}' AND status = '{status}' \
         AND json_array_length(attempts) = {attempts}"
    );
    eventually(AT_LAST, &format!("{attempts} attempts"), || async {
        (system.count(&record) == 1).then_some(())
    })
    .await;
}

/// Waits for the number of redriven events, which are counted when their turn has ended.
async fn wait_for_redriven(system: &System, count: u32) {
    eventually(AT_LAST, &format!("{count} redriven events"), || async {
        let metrics = system.metrics().await;
        (metrics.sum("wahook_auto_redriven_total") == f64::from(count)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_of_an_outage_are_redriven_after_it_and_refused_ones_are_not() {
    let status = Arc::new(AtomicU16::new(200));
    let receiver = receiver(&status).await;
    let system = system(&receiver);
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
        wait_for_attempts(&system, id, "success", 2).await;
    }
    assert_eq!(receiver.posts_of(&refused).len(), 1);
    wait_for_redriven(&system, 5).await;
    program
        .wait_logged("dead letters redriven after the endpoint recovered")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_fails_after_each_outage_is_redriven_three_times() {
    let status = Arc::new(AtomicU16::new(200));
    let receiver = receiver(&status).await;
    let system = system(&receiver);
    let _program = system.start().await;
    let poisoned = system.ended(POISONED, "failed").await;
    for _ in 0..5 {
        status.store(503, Ordering::Relaxed);
        let other = system.ended("message_ack", "failed").await;
        status.store(200, Ordering::Relaxed);
        system.ended("call", "success").await;
        wait_for_attempts(&system, &other, "success", 2).await;
        wait_for_dead(&system, 1).await;
    }
    wait_for_attempts(&system, &poisoned, "failed", 1 + 3).await;
    wait_for_redriven(&system, 3 + 5).await;
    assert_eq!(receiver.posts_of(&poisoned).len(), 4);
}
