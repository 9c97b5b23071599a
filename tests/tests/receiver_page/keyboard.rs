//! Keyboard operation and accessibility of the page.

use serde_json::json;
use wahook_tests::browser::keys;

use super::stage::{Delivery, ROWS, Stage};

#[tokio::test]
async fn every_function_works_with_the_keyboard() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    for id in ["evt_1", "evt_2", "evt_3"] {
        stage.send(&Delivery::event("ready", id, &json!({}))).await;
    }
    page.wait(&format!("{ROWS} === 3")).await;
    for (key, number) in [
        ("j", 3),
        ("j", 2),
        ("j", 1),
        ("j", 1),
        ("k", 2),
        (keys::UP, 3),
        (keys::DOWN, 2),
        (keys::END, 1),
        (keys::HOME, 3),
    ] {
        page.press(key).await;
        let selected = "document.querySelector('#list [aria-selected=true]')?.id";
        page.wait(&format!("{selected} === 'delivery-{number}'"))
            .await;
        let active = "document.getElementById('list').getAttribute('aria-activedescendant')";
        assert_eq!(page.value(active).await, format!("delivery-{number}"));
        page.wait_text("#detail-title", &format!("number {number}"))
            .await;
    }
    page.press("/").await;
    page.wait("document.activeElement.id === 'text'").await;
    // In a text field the same keys insert text.
    page.press("jkpc").await;
    assert_eq!(page.value("document.activeElement.value").await, "jkpc");
    page.press(keys::ESCAPE).await;
    page.wait("document.activeElement === document.body").await;
    page.press("p").await;
    page.wait("document.getElementById('pause').getAttribute('aria-pressed') === 'true'")
        .await;
    page.press("p").await;
    page.press("c").await;
    page.wait_text("#copied", "copied the curl command").await;
    assert!(page.clipboard().await.starts_with("curl -i -X 'POST'"));
}

#[tokio::test]
async fn the_focus_reaches_all_controls_and_is_always_visible() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    stage
        .send(&Delivery::event("ready", "evt_1", &json!({})))
        .await;
    page.wait(&format!("{ROWS} === 1")).await;
    page.press("j").await;
    page.wait("document.querySelector('#headers')").await;
    let (mut seen, mut ends) = (Vec::new(), 0);
    for _ in 0..40 {
        page.press(keys::TAB).await;
        let id = page
            .value("document.activeElement.id || document.activeElement.tagName")
            .await;
        let id = id.as_str().unwrap().to_owned();
        // Some browsers start at the last shown element, others at the top.
        if id == "BODY" {
            ends += 1;
            if ends == 2 {
                break;
            }
            continue;
        }
        let outline = page
            .value("getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth")
            .await;
        assert_eq!(outline, "solid2px", "the focus is not visible on {id}");
        seen.push(id);
    }
    for id in [
        "next",
        "always",
        "answer-500",
        "answer-429",
        "answer-delay",
        "answer-200",
        "event",
        "text",
        "pause",
        "clear",
        "list",
        "copy-curl",
    ] {
        assert!(seen.iter().any(|seen| seen == id), "{id} among {seen:?}");
    }
    // Landmarks and names for screen readers.
    for landmark in [
        "header",
        "main",
        "section[aria-labelledby=answers-title]",
        "section[aria-labelledby=deliveries-title]",
        "section[aria-labelledby=detail-title]",
    ] {
        page.wait(&format!("document.querySelector('{landmark}')"))
            .await;
    }
    let unnamed = "[...document.querySelectorAll('input, select')].filter((f) => !f.labels.length && !f.ariaLabel).length";
    assert_eq!(page.value(unnamed).await, 0);
}
