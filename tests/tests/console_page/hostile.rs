//! Hostile deliveries: the page shows all content as text.

use serde_json::json;
use wahook_tests::browser::Browser;

use super::stage::{MARKUP, On, Stage, open, script_answers};

async fn assert_unharmed(page: &Browser) {
    let strangers = "document.querySelectorAll('img, iframe, body script, object, svg script, a[href^=\"javascript\"]').length";
    assert_eq!(page.value(strangers).await, 0);
    assert!(page.value("window.hacked ?? null").await.is_null());
}

pub(crate) async fn a_hostile_delivery_is_shown_and_never_executed(on: On) {
    let stage = Stage::start(&on).await;
    let page = stage.browser().await;
    let data = json!({ "body": MARKUP, MARKUP: [MARKUP], "__proto__": { "hacked": 1 } });
    let id = stage.ended("call", &data, "failed").await;
    open(&page, &id).await;
    page.wait_text("#raw pre", "onerror=").await;
    page.wait_text("#payload .tree", MARKUP).await;
    page.fill("#search", "onerror").await;
    page.wait_text("#found", "matches").await;
    assert_unharmed(&page).await;

    // Texts of the log that a gateway or a receiver may have chosen.
    let delivery = json!({
        "eventId": MARKUP, "endpoint": MARKUP, "event": MARKUP, "webhookUrl": "javascript:window.hacked=1",
        "status": MARKUP, "statusCode": 500, "retryCount": 1, "errorMessage": MARKUP,
        "createdAt": MARKUP, "updatedAt": MARKUP, "lastRetryAt": null, "completedAt": MARKUP,
        "nextAttemptAt": MARKUP, "source": MARKUP, "session": MARKUP, "chat": MARKUP,
        "messageId": MARKUP, "attemptCount": 2, "payload": MARKUP, "payloadAltered": [MARKUP],
        "attempts": [{
            "number": 1, "startedAt": MARKUP, "durationMs": 1, "statusCode": 500, "error": MARKUP,
            "nextAttemptAt": null, "webhookUrl": MARKUP, "response": MARKUP, "otherEvent": true,
        }],
        "headers": { MARKUP: MARKUP }, "curl": MARKUP,
    });
    let paused = json!({
        "by": MARKUP, "since": MARKUP, "reason": MARKUP, "nextProbeAt": MARKUP, "consumers": 2,
    });
    let counts =
        json!({ "event": MARKUP, "endpoint": MARKUP, "success": 1, "failed": 1, "retrying": 0 });
    let endpoint = json!({
        "name": MARKUP, "webhookUrl": MARKUP, "success": 1, "failed": 1, "retrying": 0,
        "successRate": 0.5, "p50Ms": 1, "p95Ms": 1, "queued": 1, "oldestWaitSeconds": 1, "ordered": true, "paused": paused,
    });
    let path = "deliveries/%3Cimg%20src%3Dx%20onerror%3D%22window.hacked%3D1%22%3E%3Cscript%3Ewindow.hacked%3D1%3C%2Fscript%3E";
    let detail = format!("GET {path}/{}", &path["deliveries/".len()..]);
    script_answers(
        &page,
        &json!({
            "GET deliveries": [[200, { "deliveries": [delivery], "next": null }]],
            detail: [[200, delivery]],
            "GET endpoints": [[200, { "endpoints": [endpoint] }]],
            "GET stats": [[200, {
                "success": 1, "failed": 1, "retrying": 0, "byEvent": [counts], "byEndpoint": [counts],
                "hours": [{ "at": MARKUP, "success": 1, "failed": 1, "retrying": 0 }],
            }]],
            "GET dead-letters": [[200, {
                "deadLetters": [{ "eventId": MARKUP, "endpoint": MARKUP, "event": MARKUP, "reason": MARKUP,
                    "deadAt": MARKUP, "attempts": 1, "acceptedAt": MARKUP }],
                "groups": [{ "reason": MARKUP, "count": 1 }], "total": 1, "next": null,
            }]],
        }),
    )
    .await;
    page.press("\u{e00c}").await;
    page.press("2").await;
    page.wait_text("#endpoints h3", MARKUP).await;
    page.wait_text("#endpoints .held", MARKUP).await;
    assert_unharmed(&page).await;
    page.press("3").await;
    page.wait_text("#groups button", MARKUP).await;
    page.wait_text("#dead-letters", MARKUP).await;
    assert_unharmed(&page).await;
    page.press("1").await;
    page.wait_text("#list li .event", MARKUP).await;
    page.press("j").await;
    page.wait_text("#attempts pre", MARKUP).await;
    page.wait_text("#attempts", "sent another event with the same id")
        .await;
    page.wait_text("#payload", "Another event used the same id")
        .await;
    page.wait_text("#headers", MARKUP).await;
    page.press("r").await;
    page.wait_text("dialog", MARKUP).await;
    assert_unharmed(&page).await;
}

pub(crate) async fn the_content_security_policy_blocks_injected_code(on: On) {
    let stage = Stage::start(&on).await;
    let page = stage.browser().await;
    let refused = page
        .run(
            "const refused = []; \
             const attempt = (act) => { try { act(); refused.push('no'); } catch (e) { refused.push(e.name); } }; \
             const script = document.createElement('script'); \
             attempt(() => { document.body.innerHTML = arguments[0]; }); \
             attempt(() => { script.textContent = 'window.hacked = 1'; }); \
             document.body.append(script); script.remove(); \
             return fetch('http://127.0.0.1:9/').then(() => 'went', (e) => e.name).then((name) => [...refused, name]);",
            &[json!(MARKUP)],
        )
        .await;
    assert_eq!(refused, json!(["TypeError", "TypeError", "TypeError"]));
    assert_unharmed(&page).await;
}
