//! Accessibility in light, dark and on a phone; draws the pictures in `docs` (`make
//! picture-console`).

use std::path::Path;
use std::{env, fs};

use serde_json::{Value, json};
use wahook_tests::browser::{Browser, Screen};
use wahook_tests::workspace;

use super::stage::{On, ROWS, Stage, open};

/// Script that returns what axe-core finds: impact, rule and elements.
const FINDINGS: &str = ";return axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => \
    violations.filter(({ impact }) => ['serious', 'critical'].includes(impact)) \
      .map(({ impact, id, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html)}`));";

pub(crate) async fn views_are_accessible_in_light_in_dark_and_on_a_phone(on: On) {
    let file = workspace().join("tests/node/node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(file).expect("deploy/local/install.sh node installs axe-core");
    let stage = Stage::start(&on).await;
    let message = json!({
        "id": { "fromMe": false, "remote": "15551234567@c.us", "_serialized": "false_15551234567@c.us_3EB0" },
        "body": "Where is my order?", "type": "chat", "from": "15551234567@c.us", "hasMedia": false,
    });
    for n in 0..6 {
        stage
            .ended("message_ack", &json!({ "ack": n % 4 }), "success")
            .await;
    }
    let failed = stage.ended("call", &message, "failed").await;
    stage.ended("message_create", &message, "success").await;
    for (screen, name) in [
        (Screen::Desktop, "light"),
        (Screen::DarkDesktop, "dark"),
        (Screen::Phone(360), "phone"),
    ] {
        let page = stage.browser_on(screen).await;
        page.wait(&format!("{ROWS} === 16")).await;
        open(&page, &failed).await;
        page.wait("document.querySelector('#headers')").await;
        if name == "light" {
            draw(&page, "console.png").await;
            page.run("document.querySelector('#attempts').scrollIntoView();", &[])
                .await;
            draw(&page, "console-detail.png").await;
        }
        page.run(
            "document.querySelectorAll('details').forEach((d) => { d.open = true; });",
            &[],
        )
        .await;
        check(&page, &axe, &format!("deliveries in {name}")).await;
        page.click("#redeliver").await;
        check(&page, &axe, &format!("dialog in {name}")).await;
        page.click("#dialog-cancel").await;
        page.click("[data-view=endpoints]").await;
        page.wait("document.querySelectorAll('#endpoints .card').length === 2")
            .await;
        if name == "light" {
            draw(&page, "console-endpoints.png").await;
        }
        check(&page, &axe, &format!("endpoints in {name}")).await;
        page.click("[data-view=dead-letters]").await;
        page.wait("document.querySelectorAll('#dead-letters li').length === 2")
            .await;
        check(&page, &axe, &format!("dead letters in {name}")).await;
    }
}

/// Writes a picture to the folder `WAHOOK_PICTURES`, if it is set.
async fn draw(page: &Browser, file: &str) {
    if let Some(folder) = env::var_os("WAHOOK_PICTURES") {
        fs::write(Path::new(&folder).join(file), page.screenshot().await).unwrap();
    }
}

/// Checks with axe-core, and that the page never scrolls sideways.
async fn check(page: &Browser, axe: &str, view: &str) {
    let found = page.run(&format!("{axe}{FINDINGS}"), &[]).await;
    assert_eq!(found, json!([]), "{view}");
    let wide = "document.documentElement.scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth";
    assert_eq!(
        page.value(wide).await,
        Value::Bool(true),
        "{view} is too wide"
    );
}
