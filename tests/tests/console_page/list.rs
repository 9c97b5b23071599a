//! List of deliveries: live updates, filters in the URL, further pages.

use serde_json::json;

use super::stage::{On, ROWS, Stage, row};

pub(crate) async fn deliveries_are_listed_live_and_filtered_by_the_url(on: On) {
    let stage = Stage::start(&on).await;
    let page = stage.browser().await;
    page.wait_text("#empty", "No delivery matches").await;
    // An ended delivery comes by the stream, without a reload.
    let good = stage.send("message_create", &json!({})).await;
    let crm = row(&good, "crm");
    page.wait_text(&crm, "success 200").await;
    page.wait_text("#news[aria-live=polite]", "latest: message_create to")
        .await;
    let bad = stage.ended("call", &json!({}), "failed").await;
    page.wait_text(&row(&bad, "crm"), "failed 500").await;
    page.wait_text(&row(&bad, "crm"), "2 attempts").await;
    page.wait_text(&format!("{} .bad", row(&bad, "archive")), "failed")
        .await;
    page.wait(&format!("{ROWS} === 4")).await;

    // A filter is in the URL, so that the search can be sent to someone else.
    page.choose("#filters [name=status]", "failed").await;
    page.wait("location.search === '?status=failed'").await;
    page.wait(&format!("{ROWS} === 2")).await;
    page.fill("#filters [name=endpoint]", "crm").await;
    page.click("#apply").await;
    page.wait("location.search === '?status=failed&endpoint=crm'")
        .await;
    page.wait(&format!("{ROWS} === 1")).await;
    let other = stage.browser().await;
    other
        .go(&stage.url("/?status=failed&endpoint=crm&since=2024-01-01T00:00:00.000Z"))
        .await;
    other.wait(&format!("{ROWS} === 1")).await;
    other.wait_text("#list li", &bad).await;
    let shown = "document.querySelector('[name=status]').value + document.querySelector('[name=endpoint]').value";
    assert_eq!(other.value(shown).await, "failedcrm");
    other
        .wait("document.getElementById('more-filters').open")
        .await;
    // Deliveries that do not match are not added by the stream.
    stage.ended("ready", &json!({}), "success").await;
    let next = stage.ended("call", &json!({ "id": 2 }), "failed").await;
    page.wait_text(&row(&next, "crm"), "failed").await;
    assert_eq!(page.value(ROWS).await, 2);

    // Back shows the search before.
    page.run("history.back();", &[]).await;
    page.wait("location.search === '?status=failed'").await;
    page.wait(&format!("{ROWS} === 4")).await;
    page.click("#clear").await;
    page.wait("location.search === ''").await;
    page.wait(&format!("{ROWS} === 8")).await;
    page.go(&stage.url("/?statusCode=abc")).await;
    page.wait_text("#empty.bad", "statusCode").await;
}

pub(crate) async fn further_pages_are_loaded_and_a_paused_list_stays(on: On) {
    let stage = Stage::start(&on).await;
    for n in 0..60 {
        stage
            .send("message_ack", &json!({ "ack": 1, "n": n }))
            .await;
    }
    let last = stage.send("ready", &json!({})).await;
    stage.wait_ended(122).await;
    let page = stage.browser().await;
    page.wait(&format!("{ROWS} === 50")).await;
    page.wait_text(&row(&last, "crm"), "success").await;
    page.click("#pause").await;
    stage.ended("ready", &json!({ "n": 2 }), "success").await;
    page.wait_text("#pause[aria-pressed=true]", "2 new").await;
    assert_eq!(page.value(ROWS).await, 50);
    page.click("#pause").await;
    page.wait(&format!("{ROWS} >= 52")).await;
    // The cursor is stable: nothing is missing and nothing is listed twice.
    page.click("#more").await;
    page.wait(&format!("{ROWS} === 124")).await;
    let paths =
        "new Set([...document.querySelectorAll('#list li')].map((row) => row.dataset.path)).size";
    assert_eq!(page.value(paths).await, 124);
    page.wait("document.getElementById('more').hidden").await;
}
