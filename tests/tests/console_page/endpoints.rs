//! Endpoints: pauses by their circuit breakers, and events that hold their key.

use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};

use super::stage::{On, Stage};

pub(crate) async fn a_pause_by_the_circuit_breaker_is_shown_with_its_error_and_probe(on: On) {
    let stage = Stage::with_fields(&on, "retry_delay = 10\ncircuit = { failures = 3 }").await;
    for n in 0..6 {
        stage.send("call", &json!({ "n": n })).await;
    }
    let page = stage.browser().await;
    page.click("[data-view=endpoints]").await;
    for text in ["paused after failures since", "next probe", "answered 500"] {
        page.wait_text("[data-endpoint=crm] .bad", text).await;
    }
    let paused = stage.ask("endpoints").await["endpoints"][1]["paused"].clone();
    assert_eq!(
        (&paused["by"], &paused["consumers"]),
        (&json!("circuit"), &json!(1))
    );
    // An operator's pause is shown instead.
    page.click("#pause-crm").await;
    page.click("#dialog-act").await;
    page.wait_text("[data-endpoint=crm] .bad", "paused by an operator")
        .await;
    page.click("#resume-crm").await;
    page.wait_text("[data-endpoint=crm] .bad", "paused after failures")
        .await;
}

pub(crate) async fn an_event_that_holds_its_key_is_given_up_after_a_confirmation(on: On) {
    let fields = "retry_delay = 500\ncircuit = false\norder = \"chat\"\non_exhausted = \"hold\"";
    let stage = Stage::with_fields(&on, fields).await;
    let data = json!({ "from": "15551234567@c.us", "to": "1@c.us", "fromMe": false, "id": {} });
    let held = stage.send("call", &data).await;
    let behind = stage.send("message_create", &data).await;
    let page = stage.browser().await;
    page.click("[data-view=endpoints]").await;
    for endpoint in ["archive", "crm"] {
        page.wait_text(&format!("[data-endpoint={endpoint}] .held"), &held)
            .await;
    }
    assert_eq!(stage.receiver.posts_of(&behind).len(), 0);
    page.click("[data-endpoint=crm] .held button").await;
    page.wait_text("dialog[open]", "Give up call?").await;
    page.click("#dialog-act").await;
    page.wait_text("#jobs", "Give-up done: 1 of 1").await;
    page.wait("document.querySelector('[data-endpoint=crm] .held') === null")
        .await;
    eventually(AT_LAST, "the next event of the key", || async {
        let found = stage.ask(&format!("deliveries?eventId={behind}")).await;
        let found = found["deliveries"].as_array()?;
        (found.len() == 1 && found[0]["endpoint"] == "crm").then_some(())
    })
    .await;
    let letters = stage.ask("dead-letters").await;
    assert_eq!(letters["total"], 1, "{letters}");
    assert_eq!(letters["deadLetters"][0]["eventId"], held.as_str());
}
