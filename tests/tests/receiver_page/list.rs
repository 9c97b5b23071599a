//! List of deliveries: live updates, filters, pause and clear.

use serde_json::json;
use wahook_tests::browser::Screen;
use wahook_tests::ports::free_port;

use super::stage::{Delivery, ROWS, Stage};

#[tokio::test]
async fn a_new_delivery_appears_in_the_list_without_a_reload() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    page.wait_text("#empty", "Nothing here yet").await;
    let first = Delivery::event("message_create", "evt_1", &json!({}));
    assert_eq!(stage.send(&first).await.status(), 200);
    page.wait(&format!("{ROWS} === 1")).await;
    stage.send(&first.with("x-webhook-attempt", "2")).await;
    page.wait(&format!("{ROWS} === 2")).await;
    let newest = page.text("#list li").await;
    for part in ["message_create", "evt_1", "attempt 2", "200", "valid", "+"] {
        assert!(newest.contains(part), "{part} in {newest}");
    }
    let oldest = page.text("#list li:last-child").await;
    assert!(
        oldest.contains("attempt 1") && !oldest.contains('+'),
        "{oldest}"
    );
    // Screen readers announce it.
    page.wait_text("#news[aria-live=polite]", "New delivery: message_create")
        .await;
}

#[tokio::test]
async fn the_list_is_filtered_by_event_and_by_text_in_the_body() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    let send = async |event, id, text: &str| {
        let data = json!({ "body": text });
        stage.send(&Delivery::event(event, id, &data)).await
    };
    send("message_create", "evt_1", "a hedgehog").await;
    send("message_create", "evt_2", "a cat").await;
    send("call", "evt_3", "a HEDGEHOG").await;
    page.wait(&format!("{ROWS} === 3")).await;

    page.choose("#event", "message_create").await;
    page.wait(&format!("{ROWS} === 2")).await;
    page.wait_text("#count", "2 of 3").await;
    page.fill("#text", "hedgehog").await;
    page.wait(&format!("{ROWS} === 1")).await;
    page.wait_text("#list li", "evt_1").await;
    // The filter applies to later deliveries too.
    send("message_create", "evt_4", "another Hedgehog").await;
    send("message_create", "evt_5", "another cat").await;
    page.wait_text("#count", "2 of 5").await;
    page.choose("#event", "all").await;
    page.wait(&format!("{ROWS} === 3")).await;
    page.fill("#text", "no such text").await;
    page.wait_text("#empty", "None of them matches").await;
}

#[tokio::test]
async fn a_paused_list_does_not_change_and_a_cleared_list_is_empty() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    let delivery = Delivery::event("ready", "evt_1", &json!({}));
    stage.send(&delivery).await;
    page.wait(&format!("{ROWS} === 1")).await;
    page.click("#pause").await;
    stage.send(&delivery).await;
    stage.send(&delivery).await;
    page.wait_text("#pause[aria-pressed=true]", "2 new").await;
    assert_eq!(page.value(ROWS).await, 1);
    page.click("#pause").await;
    page.wait(&format!("{ROWS} === 3")).await;

    page.click("#list li").await;
    page.wait_text("#detail-title", "number 3").await;
    page.click("#clear").await;
    page.wait(&format!("{ROWS} === 0")).await;
    page.wait_text("#detail-title", "Nothing selected").await;
    stage.send(&delivery).await;
    page.wait(&format!("{ROWS} === 1")).await;
    page.wait("document.getElementById('delivery-4')").await;
}

#[tokio::test]
async fn ten_thousand_deliveries_do_not_freeze_the_page() {
    const ALL: u64 = 10_000;
    let stage = Stage::start().await;
    let page = stage.browser().await;
    // Longest delay of a timer of the page.
    page.run(
        "let last = performance.now(); window.longest = 0; setInterval(() => { \
         const now = performance.now(); window.longest = Math.max(window.longest, now - last); \
         last = now; }, 20);",
        &[],
    )
    .await;
    let delivery = Delivery::event("message_ack", "evt_1", &json!({ "ack": 3 }));
    let senders = (0..8).map(|_| async {
        for _ in 0..ALL / 8 {
            assert_eq!(stage.send(&delivery).await.status(), 200);
        }
    });
    futures_util::future::join_all(senders).await;
    page.wait(&format!("document.getElementById('delivery-{ALL}')"))
        .await;
    assert_eq!(page.value(ROWS).await, 1_000);
    assert!(
        page.value("document.getElementById('delivery-9000')")
            .await
            .is_null()
    );
    page.press("j").await;
    page.wait_text("#detail-title", "number 10000").await;
    let longest = page.value("window.longest").await;
    println!("the page was busy for at most {longest} ms");
}

#[tokio::test]
async fn the_page_reconnects_after_a_restart_of_the_receiver() {
    // No port that the page's connections could get.
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let stage = Stage::with(&[("RECEIVER_ADDRESS", &address)]).await;
    let page = stage.browser().await;
    let delivery = Delivery::event("ready", "evt_1", &json!({}));
    stage.send(&delivery).await;
    stage.send(&delivery).await;
    page.wait(&format!("{ROWS} === 2")).await;
    stage.receiver.kill9().await;
    page.wait_text("#connection", "connection lost").await;
    // Without a connection the list stays as it was.
    assert_eq!(page.value(ROWS).await, 2);

    let again = Stage::with(&[("RECEIVER_ADDRESS", &address)]).await;
    page.wait("document.getElementById('connection').textContent === 'connected'")
        .await;
    page.wait(&format!("{ROWS} === 0")).await;
    again
        .send(&Delivery::event("call", "evt_2", &json!({})))
        .await;
    page.wait_text("#list li", "call").await;
    assert_eq!(page.value(ROWS).await, 1);
}

#[tokio::test]
async fn a_screen_of_360_pixels_never_scrolls_sideways() {
    let stage = Stage::start().await;
    let page = stage.browser_on(Screen::Phone(360)).await;
    let long = "x".repeat(300);
    let data = json!({ "body": long, long.as_str(): { "deep": [[[[{ "er": long }]]]] } });
    stage
        .send(&Delivery::event("message_create", &long[..120], &data))
        .await;
    page.wait(&format!("{ROWS} === 1")).await;
    assert_eq!(page.value("innerWidth").await, 360);
    page.click("#list li").await;
    page.wait("document.querySelector('#headers')").await;
    page.run(
        "document.querySelectorAll('details').forEach((d) => { d.open = true; });",
        &[],
    )
    .await;
    let widest = page
        .value("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
        .await;
    assert_eq!(widest, 360);
    let target = page
        .value("Math.min(...[...document.querySelectorAll('button')].filter((b) => b.offsetParent).map((b) => b.offsetHeight))")
        .await;
    assert!(
        target.as_f64() >= Some(24.0),
        "a button is too small for a finger: {target}"
    );
}
