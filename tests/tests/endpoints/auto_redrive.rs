//! Redrives after outages by the consumers themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::receiver::{Answer, Receiver};

use crate::several::{Several, total};
use crate::world::{Test, Tests};

const EVENTS: usize = 60;
const REFUSED: usize = 5;
/// Redriven dead letters per second.
const RATE: u32 = 10;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "dead_letters_of_an_outage_are_redriven_once_by_one_of_two_consumers",
        redriven_once,
    );
}

async fn redriven_once(test: Test) {
    let status = Arc::new(AtomicU16::new(500));
    let receiver = Receiver::answering({
        let status = Arc::clone(&status);
        move |post| {
            let is_refused = post.event() == Some("group_join");
            Answer::status(if is_refused {
                404
            } else {
                status.load(Ordering::Relaxed)
            })
        }
    })
    .await;
    let endpoints = format!(
        r#"
        [[endpoint]]
        name = "crm"
        url = "{url}"
        retry_attempts = 0
        auto_redrive = "1h"
        auto_redrive_rate = {RATE}
        circuit = {{ failures = 10000 }}

        [[endpoint]]
        name = "other"
        url = "{url}"
        events = ["message_ack", "call"]
        retry_attempts = 0
        circuit = false
        "#,
        url = receiver.url()
    );
    let several = Several::start(&test, 2, &endpoints).await;
    several.batch("message_ack", EVENTS).await;
    several.batch("group_join", REFUSED).await;
    let all = u32::try_from(2 * EVENTS + REFUSED).unwrap();
    eventually(AT_LAST, "all dead letters", async || {
        (several.depth("wahook.dead").await == all).then_some(())
    })
    .await;
    receiver.forget();
    status.store(200, Ordering::Relaxed);
    let begun = Instant::now();
    // Both consumers see the end of the outage.
    several.batch("call", 100).await;
    let redriven = || {
        let mut posts = receiver.posts();
        posts.retain(|post| post.event() == Some("message_ack"));
        posts
    };
    eventually(AT_LAST, "the redriven events", async || {
        (redriven().len() == EVENTS).then_some(())
    })
    .await;
    let took = begun.elapsed();
    let kept = u32::try_from(EVENTS + REFUSED).unwrap();
    // Letters that a consumer has read are ready again when its turn ends.
    eventually(AT_LAST, "the kept dead letters", async || {
        (several.depth("wahook.dead").await == kept).then_some(())
    })
    .await;
    let ids: BTreeSet<_> = redriven()
        .iter()
        .map(|post| post.id().unwrap().to_owned())
        .collect();
    assert_eq!((ids.len(), redriven().len()), (EVENTS, EVENTS));
    let slowest = Duration::from_secs(EVENTS as u64 - 1) / RATE;
    assert!(took >= slowest, "{took:?}, less than {slowest:?}");
    // Counted when the turn has ended, and recorded after the answer.
    eventually(AT_LAST, "the counted redrives", async || {
        let counted = total(&several.consumers, "wahook_auto_redriven_total", &[]).await;
        (counted == EVENTS as f64).then_some(())
    })
    .await;
    eventually(AT_LAST, "the failed deliveries that stay", async || {
        let (crm, other) = (
            several.statuses("crm").await,
            several.statuses("other").await,
        );
        let failed = (crm["failed"], other["failed"]);
        (failed == (REFUSED as u64, EVENTS as u64)).then_some(())
    })
    .await;
}
