//! Retry schedule, and the records in the log meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mongodb::bson::{Bson, Document};
use serde_json::json;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::SECRET;
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::world::{Test, Tests};

/// Delay that a busy machine may add to a schedule.
const LATEST: Duration = Duration::from_secs(10);

pub(crate) fn add(tests: &mut Tests) {
    tests.add("three_failures_are_retried_after_5_10_and_20_s", schedule);
    tests.add("zero_retries_mean_one_attempt", no_retries);
    tests.add("an_answer_after_the_timeout_is_a_failure", too_slow);
    tests.add("a_redirect_is_not_followed", redirect);
    tests.add(
        "retry_after_holds_the_event_without_counting_the_attempt",
        retry_after,
    );
}

fn fails_until(attempt: u32) -> impl Fn(&Post) -> Answer + Send + Sync + 'static {
    move |post| {
        Answer::status(if post.attempt() < Some(attempt) {
            500
        } else {
            200
        })
    }
}

fn is_retrying(count: i32) -> impl Fn(&Document) -> bool {
    move |record| {
        record.get_str("status").ok() == Some("retrying")
            && record.get_i32("retryCount").ok() == Some(count)
    }
}

async fn schedule(test: Test) {
    let pair = test
        .pair(Receiver::answering(fails_until(4)).await, &[])
        .await;
    let id = pair
        .post(&json!({"event": "message_ack", "data": {"ack": 2}}))
        .await
        .accepted_id();
    for retries in 0..3 {
        let record = pair.wait_record(&id, AT_LAST, is_retrying(retries)).await;
        assert_eq!(record.get("statusCode"), Some(&Bson::Int32(500)));
        assert_eq!(record.get_str("errorMessage").ok(), Some("answered 500"));
        assert!(record.get_datetime("nextAttemptAt").is_ok());
    }
    let posts = pair.receiver.wait_for(4, AT_LAST).await;
    for (pair, wait) in posts.windows(2).zip([5, 10, 20]) {
        let gap = pair[1].arrived - pair[0].arrived;
        let wait = Duration::from_secs(wait);
        assert!(
            gap >= wait && gap < wait + wait / 10 + LATEST,
            "{gap:?} for {wait:?}"
        );
    }
    for (post, attempt) in posts.iter().zip(1..) {
        assert_eq!(
            (post.attempt(), post.id()),
            (Some(attempt), Some(id.as_str()))
        );
        assert!(post.verify(SECRET).is_valid());
        assert_eq!(post.body, posts[0].body);
    }
    let is_success = |record: &Document| record.get_str("status").ok() == Some("success");
    let record = pair.wait_record(&id, AT_LAST, is_success).await;
    assert_eq!(record.get_i32("retryCount").ok(), Some(3));
    assert_eq!(record.get("statusCode"), Some(&Bson::Int32(200)));
    assert_eq!(record.get("errorMessage"), Some(&Bson::Null));
    assert_eq!(record.get_array("attempts").unwrap().len(), 4);
    assert_eq!(
        pair.log().count_documents(Document::new()).await.unwrap(),
        1
    );
}

async fn no_retries(test: Test) {
    let settings = [("WEBHOOK_RETRY_ATTEMPTS", "0")];
    let pair = test
        .pair(
            Receiver::answering(|_| Answer::status(503)).await,
            &settings,
        )
        .await;
    let id = pair.post(&json!({"event": "test"})).await.accepted_id();
    let record = pair.wait_record(&id, AT_LAST, |_| true).await;
    assert_eq!(record.get_str("status").ok(), Some("failed"));
    assert_eq!(record.get_i32("retryCount").ok(), Some(0));
    assert_eq!(pair.receiver.posts().len(), 1);
}

async fn too_slow(test: Test) {
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "0"),
        ("WEBHOOK_TIMEOUT", "10000"),
    ];
    let slow = Receiver::answering(|post| match post.event() {
        Some("silent") => Answer::silence(),
        _ => Answer::status(200).body("half").stalled(),
    });
    let pair = test.pair(slow.await, &settings).await;
    let id = pair.post(&json!({"event": "silent"})).await.accepted_id();
    let record = pair.wait_record(&id, AT_LAST, |_| true).await;
    assert_eq!(record.get_str("status").ok(), Some("failed"));
    assert_eq!(
        record.get_str("errorMessage").ok(),
        Some("no answer in 10 s")
    );
    assert_eq!(record.get("statusCode"), Some(&Bson::Null));
    // The status decides, without the rest of the body.
    let id = pair.post(&json!({"event": "stalled"})).await.accepted_id();
    let record = pair.wait_record(&id, AT_LAST, |_| true).await;
    assert_eq!(record.get_str("status").ok(), Some("success"));
    assert_eq!(record.get("statusCode"), Some(&Bson::Int32(200)));
}

async fn redirect(test: Test) {
    let elsewhere = Receiver::start().await;
    let location = elsewhere.url();
    let away = Receiver::answering(move |_| Answer::status(307).header("location", &location));
    let pair = test
        .pair(away.await, &[("WEBHOOK_RETRY_ATTEMPTS", "0")])
        .await;
    let id = pair.post(&json!({"event": "test"})).await.accepted_id();
    let record = pair.wait_record(&id, AT_LAST, |_| true).await;
    assert_eq!(record.get_str("status").ok(), Some("failed"));
    assert_eq!(record.get("statusCode"), Some(&Bson::Int32(307)));
    assert!(
        record
            .get_str("errorMessage")
            .unwrap()
            .contains("not followed")
    );
    assert!(elsewhere.posts().is_empty());
}

async fn retry_after(test: Test) {
    let first = AtomicBool::new(true);
    let busy = move |_: &Post| match first.swap(false, Ordering::Relaxed) {
        true => Answer::status(429).header("retry-after", "7"),
        false => Answer::status(200),
    };
    let settings = [("WEBHOOK_RETRY_ATTEMPTS", "0")];
    let pair = test.pair(Receiver::answering(busy).await, &settings).await;
    let id = pair.post(&json!({"event": "test"})).await.accepted_id();
    let record = pair.wait_record(&id, AT_LAST, is_retrying(0)).await;
    assert_eq!(record.get("statusCode"), Some(&Bson::Int32(429)));
    let posts = pair.receiver.wait_for(2, AT_LAST).await;
    let gap = posts[1].arrived - posts[0].arrived;
    assert!(gap >= Duration::from_secs(7), "{gap:?}");
    assert_eq!(posts[1].attempt(), Some(1), "a 429 does not count");
    let is_success = |record: &Document| record.get_str("status").ok() == Some("success");
    let record = pair.wait_record(&id, AT_LAST, is_success).await;
    assert_eq!(record.get_array("attempts").unwrap().len(), 2);
}
