//! Buttons that set the answer to the next deliveries.

use std::time::{Duration, Instant};

use serde_json::json;

use super::stage::{Delivery, Stage};

fn delivery() -> Delivery {
    Delivery::event("ready", "evt_1", &json!({}))
}

async fn statuses<const N: usize>(stage: &Stage) -> [u16; N] {
    let mut statuses = [0; N];
    for status in &mut statuses {
        *status = stage.send(&delivery()).await.status().as_u16();
    }
    statuses
}

#[tokio::test]
async fn the_next_two_are_answered_500_and_later_ones_200() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    page.fill("#next", "2").await;
    page.click("#answer-500").await;
    page.wait_text("#rule", "the next 2: 500").await;
    assert_eq!(statuses(&stage).await, [500, 500, 200]);
    page.wait_text("#rule", "all: 200 at once").await;
    page.wait("document.getElementById('delivery-3')").await;
    page.wait_text("#delivery-1 .answer.bad", "500").await;
    page.wait_text("#delivery-3 .answer", "200").await;
}

#[tokio::test]
async fn a_429_has_a_retry_after_header() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    page.fill("#retry-after", "7").await;
    page.click("#answer-429").await;
    page.wait_text("#rule", "the next 1: 429, Retry-After 7 s")
        .await;
    let answer = stage.send(&delivery()).await;
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "7");
    let after = stage.send(&delivery()).await;
    assert!(after.status() == 200 && !after.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_delayed_answer_is_shown_as_waiting_and_a_sender_timeout_as_left() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    page.fill("#delay", "10").await;
    page.fill("#next", "1").await;
    page.click("#answer-delay").await;
    page.wait_text("#rule", "the next 1: 200 after 10.0 s")
        .await;
    let begin = Instant::now();
    let delayed = delivery();
    let (answer, ()) = tokio::join!(stage.send(&delayed), async {
        page.wait_text("#delivery-1 .answer", "waiting").await;
    });
    assert_eq!(answer.status(), 200);
    assert!(
        begin.elapsed() >= Duration::from_secs(10),
        "the answer came too early"
    );
    page.wait("!document.querySelector('#delivery-1 .answer').textContent.includes('waiting')")
        .await;

    page.fill("#delay", "600").await;
    page.click("#answer-delay").await;
    page.wait_text("#rule", "the next 1: 200 after 10 min")
        .await;
    let impatient = stage
        .http
        .post(stage.url("/"))
        .timeout(Duration::from_secs(5));
    impatient.send().await.unwrap_err();
    page.wait_text("#delivery-2 .answer.bad", "the sender disconnected")
        .await;
}

#[tokio::test]
async fn an_answer_for_all_applies_until_it_is_changed() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    page.click("#always").await;
    page.click("#answer-500").await;
    page.wait_text("#rule", "all: 500").await;
    assert_eq!(statuses(&stage).await, [500, 500, 500, 500]);
    page.click("#answer-200").await;
    page.wait_text("#rule", "all: 200 at once").await;
    assert_eq!(statuses(&stage).await, [200]);
    // An invalid number changes nothing and is reported.
    page.click("#always").await;
    page.fill("#next", "0").await;
    page.click("#answer-500").await;
    page.wait_text("#rule.bad", "next must be at least 1").await;
    assert_eq!(statuses(&stage).await, [200]);
}
