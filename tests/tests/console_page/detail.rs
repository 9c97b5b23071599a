//! Detail of a delivery: attempts, payload, headers and the command to copy.

use serde_json::json;

use super::stage::{On, Stage, open};

pub(crate) async fn detail_has_attempts_payload_headers_and_a_command(on: On) {
    let stage = Stage::start(&on).await;
    let many: Vec<u32> = (0..1_000).collect();
    let data =
        json!({ "text": "Grüße 👋", "inner": { "deep": { "note": "a hedgehog" } }, "many": many });
    let id = stage.ended("call", &data, "failed").await;
    let page = stage.browser().await;
    open(&page, &id).await;
    page.wait(&format!("location.hash === '#delivery={id}/crm'"))
        .await;
    page.wait_text("#detail-title", "call to crm").await;
    page.wait("document.querySelectorAll('#attempts li').length === 2")
        .await;
    page.wait_text("#attempts", "Attempt 1: answer 500").await;
    page.wait_text("#attempts", "Attempt 2: answer 500").await;
    page.wait_text("#payload .tree", "Grüße 👋").await;
    page.wait_text("#headers", &id).await;
    page.wait_text("#headers", "call").await;

    // The search shows only matches, with what is above them.
    page.fill("#search", "HEDGE").await;
    page.wait_text("#found", "1 match").await;
    let tree = page.text("#payload .tree").await;
    assert!(
        tree.contains("deep") && tree.contains("a hedgehog") && !tree.contains("Grüße"),
        "{tree}"
    );
    page.fill("#search", "inner").await;
    page.wait("document.querySelector('#payload .tree').textContent.includes('inner')")
        .await;
    page.fill("#search", "no such text").await;
    page.wait_text("#found", "0 matches").await;

    page.click("#copy-curl").await;
    page.wait_text("#copied", "copied the curl command").await;
    let command = page.clipboard().await;
    assert!(
        command.starts_with("curl ") && command.contains(&stage.receiver.url()),
        "{command}"
    );
    page.click("#copy-payload").await;
    page.wait_text("#copied", "copied the payload").await;
    let copied: serde_json::Value = serde_json::from_str(&page.clipboard().await).unwrap();
    assert_eq!(copied, data);

    // The URL alone opens the same delivery; one that is not in the log is reported.
    page.go(&stage.url(&format!("/?status=failed#delivery={id}/archive")))
        .await;
    page.wait_text("#detail-title", "call to archive").await;
    page.go(&stage.url("/#delivery=evt_none/crm")).await;
    page.wait_text("#shown .bad", "the log has no").await;
}

pub(crate) async fn hidden_payloads_are_not_in_the_detail(on: On) {
    let stage = Stage::with(&on, &[("CONSOLE_PAYLOADS", "off")]).await;
    let data = json!({ "text": "a hedgehog" });
    let id = stage.ended("ready", &data, "success").await;
    let page = stage.browser().await;
    open(&page, &id).await;
    page.wait_text("#payload", "Payloads are hidden").await;
    assert!(!page.text("body").await.contains("hedgehog"));
}
