//! Login with a token, and sessions that only read.

use serde_json::json;
use wahook_tests::browser::{Browser, Screen};

use super::stage::{On, ROWS, Stage};

pub(crate) const WRITE: &str = "write-token-of-the-tests";
const READ: &str = "read-token-of-the-tests-";

pub(crate) async fn token_opens_the_page_and_readers_see_no_actions(on: On) {
    let stage = Stage::with(
        &on,
        &[("CONSOLE_TOKEN", WRITE), ("CONSOLE_READ_TOKEN", READ)],
    )
    .await;
    stage.send("ready", &json!({})).await;
    let page = Browser::open(&stage.url("/?event=ready"), Screen::Desktop).await;
    page.wait("document.activeElement.id === 'token'").await;
    assert_eq!(page.value(ROWS).await, 0);
    page.fill("#token", "wrong-token-of-the-tests").await;
    page.click("#log-in").await;
    page.wait_text("#failure[role=alert]", "the token is wrong")
        .await;

    let acts = "[...document.querySelectorAll('.acts')].filter((e) => e.checkVisibility()).length";
    page.fill("#token", READ).await;
    page.click("#log-in").await;
    page.wait(&format!("{ROWS} === 2")).await;
    page.wait_text("#access", "read-only").await;
    page.press("j").await;
    page.wait("document.querySelector('#headers')").await;
    assert_eq!(page.value(acts).await, 0);
    page.press("r").await;
    assert!(
        page.value("document.querySelector('dialog')")
            .await
            .is_null()
    );
    // Scripts cannot read the session.
    assert_eq!(page.value("document.cookie").await, "");

    page.click("#log-out").await;
    page.wait("!document.getElementById('login').hidden").await;
    page.wait("document.getElementById('deliveries-view').hidden")
        .await;
    page.fill("#token", WRITE).await;
    page.click("#log-in").await;
    page.wait(&format!("{acts} > 3")).await;
    // The session lasts over a reload.
    page.go(&stage.url("/")).await;
    page.wait(&format!("{ROWS} === 2")).await;
}
