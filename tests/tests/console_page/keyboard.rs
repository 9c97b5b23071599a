//! Keyboard operation and screen readers.

use serde_json::json;
use wahook_tests::browser::{Browser, keys};

use super::stage::{On, ROWS, Stage};

pub(crate) async fn every_function_works_with_the_keyboard(on: On) {
    let stage = Stage::start(&on).await;
    let first = stage.ended("ready", &json!({ "n": 1 }), "success").await;
    let last = stage.ended("ready", &json!({ "n": 2 }), "success").await;
    let page = stage.browser().await;
    page.wait(&format!("{ROWS} === 4")).await;
    let opened = "document.querySelector('#list [aria-current=true]')?.closest('li').dataset.path";
    let at = "[...document.querySelectorAll('#list li')].findIndex((row) => row.querySelector('[aria-current]'))";
    for (key, index) in [
        ("j", 0),
        ("j", 1),
        (keys::DOWN, 2),
        (keys::UP, 1),
        ("k", 0),
        ("k", 0),
        (keys::END, 3),
        (keys::HOME, 0),
    ] {
        page.press(key).await;
        page.wait(&format!("{at} === {index}")).await;
        let path = page.value(opened).await;
        let path = path.as_str().unwrap();
        assert_eq!(
            page.value("location.hash").await,
            format!("#delivery={path}")
        );
        let id = if index < 2 { &last } else { &first };
        assert!(path.starts_with(id.as_str()), "{path}");
        page.wait_text("#shown dl", id).await;
    }
    page.press("x").await;
    page.wait_text("#redeliver-selected", "(1)").await;
    page.press("x").await;
    page.wait("document.getElementById('redeliver-selected').disabled")
        .await;
    page.press("r").await;
    page.wait_text("dialog[open]", "Redeliver 1 delivery?")
        .await;
    page.press(keys::ESCAPE).await;
    page.wait("document.querySelector('dialog') === null").await;
    page.press("/").await;
    page.wait("document.activeElement.name === 'endpoint'")
        .await;
    // In a text field the same keys insert text.
    page.press("jkp2").await;
    assert_eq!(page.value("document.activeElement.value").await, "jkp2");
    page.press(keys::ESCAPE).await;
    page.press("p").await;
    page.wait("document.getElementById('pause').getAttribute('aria-pressed') === 'true'")
        .await;
    page.press("p").await;
    page.press("c").await;
    page.wait_text("#copied", "copied the curl command").await;
    assert_focus_is_visible(&page).await;
    for (key, view) in [
        ("2", "endpoints"),
        ("3", "dead-letters"),
        ("1", "deliveries"),
    ] {
        page.press(key).await;
        page.wait(&format!(
            "document.querySelector('#views [aria-current=page]').dataset.view === '{view}'"
        ))
        .await;
        page.wait(&format!("!document.getElementById('{view}-view').hidden"))
            .await;
    }
}

/// Walks through the page and checks that each control shows its focus.
async fn assert_focus_is_visible(page: &Browser) {
    let mut seen = Vec::new();
    for _ in 0..50 {
        page.press(keys::TAB).await;
        let id = page
            .value("document.activeElement.id || document.activeElement.name || document.activeElement.tagName")
            .await;
        let id = id.as_str().unwrap().to_owned();
        if id == "BODY" {
            continue;
        }
        let outline = page
            .value("getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth")
            .await;
        assert_eq!(outline, "solid2px", "the focus is not visible on {id}");
        seen.push(id);
    }
    for id in [
        "status",
        "endpoint",
        "event",
        "apply",
        "clear",
        "pause",
        "check-all",
        "redeliver-all",
        "redeliver",
        "copy-curl",
    ] {
        assert!(seen.iter().any(|seen| seen == id), "{id} among {seen:?}");
    }
}
