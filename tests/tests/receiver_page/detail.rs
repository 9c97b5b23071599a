//! Detail view of one delivery, with the state of its signatures.

use serde_json::json;
use wahook_tests::browser::Browser;

use super::stage::{Delivery, SECRET, Stage};

const BODY: &[u8] = br#"{"event":"ready","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;

/// Selects a delivery and returns the codes of its two signatures.
async fn codes(page: &Browser, number: u64) -> [String; 2] {
    page.wait(&format!("document.getElementById('delivery-{number}')"))
        .await;
    page.click(&format!("#delivery-{number}")).await;
    page.wait_text("#detail-title", &format!("number {number}"))
        .await;
    let code = async |n: u8| {
        let code = page
            .value(&format!(
                "document.querySelectorAll('#signatures dd')[{n}].dataset.code"
            ))
            .await;
        code.as_str().unwrap().to_owned()
    };
    [code(0).await, code(1).await]
}

#[tokio::test]
async fn the_page_shows_the_state_of_both_signatures_and_the_reason() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    let right = || Delivery::signed("ready", "evt_1", BODY.to_vec(), SECRET, 0);
    let spaced = br#"{"event": "ready", "data": {}, "timestamp": "2024-10-01T12:00:00.000Z"}"#;
    let other = Delivery::signed("ready", "evt_2", BODY.to_vec(), "another", 0);
    let old = Delivery::signed("ready", "evt_1", BODY.to_vec(), SECRET, -400);
    let altered = br#"{"event":"call","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    let bare = right()
        .without("x-webhook-signature")
        .without("webhook-signature");
    let rows = [
        (
            other.clone(),
            ["other-secret", "other-secret"],
            "probably signed with another secret",
        ),
        (right(), ["valid", "valid"], "✓ valid"),
        (
            right().body(*spaced),
            ["json-reserialised"; 2],
            "printed again",
        ),
        (
            right().body(*altered),
            ["body-altered"; 2],
            "with another body",
        ),
        (
            right().body([BODY, b"\n"].concat()),
            ["line-end"; 2],
            "line end",
        ),
        (
            old,
            ["valid", "timestamp-off"],
            "s old: receivers allow 300 s",
        ),
        (bare, ["missing", "missing"], "is missing"),
        (other, ["secret-or-body"; 2], "a second sender"),
    ];
    for (number, (delivery, expected, reason)) in (1..).zip(rows) {
        stage.send(&delivery).await;
        assert_eq!(codes(&page, number).await, expected, "number {number}");
        let said = page.text("#signatures").await;
        assert!(said.contains(reason), "{reason} in {said}");
    }
    let marks = "[...document.querySelectorAll('#list .marks [aria-hidden]')].map((m) => m.textContent).join('')";
    assert_eq!(page.value(marks).await, "✗✗✗✗✗✗✓✗");
}

#[tokio::test]
async fn the_page_shows_that_no_secret_is_set() {
    let stage = Stage::with(&[]).await;
    let page = stage.browser().await;
    stage
        .send(&Delivery::event("ready", "evt_1", &json!({})))
        .await;
    assert_eq!(codes(&page, 1).await, ["no-secret", "no-secret"]);
    page.wait_text("#signatures", "set WEBHOOK_SECRET").await;
}

#[tokio::test]
async fn the_body_is_shown_as_a_folded_tree_and_as_raw_text() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    let many: Vec<u32> = (0..1_000).collect();
    let data = json!({ "text": "Grüße 👋", "inner": { "none": null, "yes": true }, "many": many });
    stage
        .send(&Delivery::event("message_create", "evt_1", &data))
        .await;
    page.wait("document.querySelector('#list li')").await;
    page.click("#list li").await;
    page.wait_text("#body .tree", "Grüße 👋").await;
    page.wait_text("#body .tree", "none: null").await;
    // A thousand members are drawn only after unfolding, and in parts.
    let leaves = "document.querySelectorAll('#body .tree .number').length";
    assert_eq!(page.value(leaves).await, 0);
    let summary = "[...document.querySelectorAll('#body .tree summary')].find((s) => s.textContent.includes('[1000]'))";
    page.run(&format!("{summary}.id = 'folded';"), &[]).await;
    page.click("#folded").await;
    page.wait(&format!("{leaves} === 200")).await;
    page.wait_text("#body .tree button", "show 800 more").await;
    page.run(
        "document.querySelector('#body .tree button').scrollIntoView();",
        &[],
    )
    .await;
    page.click("#body .tree button").await;
    page.wait(&format!("{leaves} === 400")).await;
    page.click("#folded").await;
    page.wait("!document.getElementById('folded').parentElement.open")
        .await;
    let raw = page.text("#raw pre").await;
    assert!(
        raw.starts_with(r#"{"event":"message_create","data":{"#),
        "{raw}"
    );
    page.wait_text("#headers", "WhatsApp-Web-API/2.0").await;
}

#[tokio::test]
async fn a_body_that_is_neither_json_nor_utf_8_is_marked_so() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    let odd = stage
        .http
        .put(stage.url("/any/path?x=1"))
        .body(b"caf\xe9 \x00!".to_vec());
    assert_eq!(odd.send().await.unwrap().status(), 200);
    stage
        .http
        .get(stage.url("/just/looking"))
        .send()
        .await
        .unwrap();
    page.wait("document.getElementById('delivery-2')").await;
    page.wait_text("#delivery-1", "PUT /any/path?x=1").await;
    page.wait_text("#delivery-2", "GET /just/looking").await;
    page.click("#delivery-1").await;
    page.wait_text("#body", "not UTF-8 from byte 3 on").await;
    page.wait_text("#body", "not JSON").await;
    page.wait_text("#raw[open] pre", "caf\u{fffd} \0!").await;
    assert_eq!(stage.body_of(1).await, b"caf\xe9 \x00!");
}
