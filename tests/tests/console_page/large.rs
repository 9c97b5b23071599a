//! Console on a log of 100,000 deliveries.

use serde_json::json;
use wahook_tests::stored_log::{DELIVERIES, OF_ONE_CHAT, Templates};

use super::stage::{On, ROWS, Stage, open, row};

pub(crate) async fn a_hundred_thousand_deliveries_are_listed_searched_counted_and_followed(on: On) {
    let stage = Stage::start(&on).await;
    let delivered = stage.ended("ready", &json!({}), "success").await;
    let failed = stage.ended("call", &json!({}), "failed").await;
    let templates = Templates {
        delivered: format!("{delivered}/crm"),
        failed: format!("{failed}/crm"),
    };
    stage.stored_in.fill(&templates).await.unwrap();
    let page = stage.browser().await;
    page.wait(&format!("{ROWS} === 50")).await;
    for (query, rows) in [
        ("status=failed", 50),
        ("status=failed&endpoint=crm&event=call&statusCode=500", 50),
        ("chat=chat-77@c.us", OF_ONE_CHAT),
        ("messageId=message-4242", 1),
        ("eventId=filled-4242", 1),
    ] {
        page.go(&stage.url(&format!("/?{query}"))).await;
        page.wait(&format!("{ROWS} === {rows}")).await;
    }
    open(&page, "filled-4242").await;
    page.wait("document.querySelectorAll('#attempts li').length > 0")
        .await;

    // The pages of one search, and the number of all that match.
    page.go(&stage.url("/?status=failed&event=call")).await;
    page.wait(&format!("{ROWS} === 50")).await;
    page.click("#more").await;
    page.wait(&format!("{ROWS} > 50")).await;
    page.click("#redeliver-all").await;
    let all_failed = format!("Redeliver {},002 deliveries?", DELIVERIES / 10_000);
    page.wait_text("dialog[open]", &all_failed).await;
    page.click("#dialog-cancel").await;

    // Figures of all, and new deliveries.
    page.click("[data-view=endpoints]").await;
    page.wait_text("[data-endpoint=crm]", "90 % of 100,002")
        .await;
    page.wait("document.querySelector('[data-endpoint=crm] .spark')")
        .await;
    page.go(&stage.url("/")).await;
    page.wait_text("#connection", "live").await;
    let new = stage.send("ready", &json!({ "n": 2 })).await;
    page.wait_text(&row(&new, "crm"), "success").await;
}
