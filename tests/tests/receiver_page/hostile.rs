//! Hostile deliveries: the page shows all content as text.

use serde_json::json;
use wahook_tests::browser::{Browser, Screen};
use wahook_tests::program::Program;

use super::stage::{Delivery, ROWS, Stage};

const MARKUP: &str = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>";

async fn assert_unharmed(page: &Browser) {
    let strangers =
        "document.querySelectorAll('img, iframe, main script, body script, svg, object').length";
    assert_eq!(page.value(strangers).await, 0);
    assert!(page.value("window.hacked ?? null").await.is_null());
}

#[tokio::test]
async fn a_hostile_delivery_is_shown_and_never_executed() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    let data = json!({ "body": MARKUP, MARKUP: [MARKUP], "__proto__": { "hacked": 1 } });
    let delivery = Delivery::event("message_create", MARKUP, &data)
        .with("x-webhook-event", MARKUP)
        .with("x-other", MARKUP);
    stage.send(&delivery).await;
    stage
        .send(&delivery.body(format!("{MARKUP} is no JSON")))
        .await;
    page.wait(&format!("{ROWS} === 2")).await;
    for number in [1, 2] {
        page.click(&format!("#delivery-{number}")).await;
        page.wait_text("#detail-title", &format!("number {number}"))
            .await;
        page.wait_text("#raw pre", "onerror=").await;
        page.wait_text("#headers", MARKUP).await;
        assert_unharmed(&page).await;
    }
    page.wait_text("#list li .event", MARKUP).await;
    page.wait_text("#event", MARKUP).await;
}

#[tokio::test]
async fn the_content_security_policy_blocks_injected_code() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    let refused = page
        .run(
            "const refused = []; \
             const attempt = (act) => { try { act(); refused.push('no'); } catch (e) { refused.push(e.name); } }; \
             const script = document.createElement('script'); \
             const link = document.createElement('a'); \
             attempt(() => { document.body.innerHTML = arguments[0]; }); \
             attempt(() => { script.textContent = 'window.hacked = 1'; }); \
             attempt(() => { link.setAttribute('onclick', 'window.hacked = 1'); }); \
             document.body.append(script, link); \
             link.href = 'javascript:window.hacked = 1'; link.click(); \
             script.remove(); return refused;",
            &[json!(MARKUP)],
        )
        .await;
    // Text cannot become markup, a script or a handler.
    assert_eq!(refused, json!(["TypeError", "TypeError", "TypeError"]));
    let elsewhere = page
        .run(
            "return fetch('http://127.0.0.1:9/').then(() => 'went', (e) => e.name);",
            &[],
        )
        .await;
    assert_eq!(elsewhere, "TypeError");
    assert_unharmed(&page).await;
}

#[tokio::test]
async fn a_page_of_another_origin_can_neither_change_nor_read() {
    let stage = Stage::start().await;
    stage
        .send(&Delivery::event("ready", "evt_1", &json!({})))
        .await;
    // Another port is another origin. Its answers have no policy that limits fetches.
    let elsewhere = Program::producer(&[("AMQP_URL", "amqp://127.0.0.1:1")]).await;
    let page = Browser::open(&format!("{}/livez", elsewhere.base_url()), Screen::Desktop).await;
    page.wait_text("body", "ok").await;
    let api = stage.url("/_receiver/api/");
    let tried = page
        .run(
            "const api = arguments[0]; const said = (made) => made.then((a) => a.type, (e) => e.name); \
             return Promise.all([ \
               said(fetch(api + 'rule', { method: 'PUT', body: '{\"status\":500}', headers: { 'Content-Type': 'application/json' } })), \
               said(fetch(api + 'rule', { method: 'POST', mode: 'no-cors', body: '{\"status\":500}' })), \
               said(fetch(api + 'deliveries')), \
               said(fetch(api + 'deliveries', { method: 'DELETE' })), \
             ]);",
            &[json!(api)],
        )
        .await;
    // No answer is readable, and requests without a CORS preflight have no effect.
    assert_eq!(
        tried,
        json!(["TypeError", "TypeError", "TypeError", "TypeError"])
    );
    let now = stage.ask("deliveries").await;
    assert_eq!(now["rule"]["status"], 200);
    assert_eq!(now["deliveries"].as_array().unwrap().len(), 1);
}
