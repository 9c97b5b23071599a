//! Contrast of the page; draws `docs/receiver.png` (`make picture-receiver`).

use std::{env, fs};

use serde_json::json;
use wahook_tests::browser::Screen;

use super::stage::{Delivery, ROWS, Stage};

#[tokio::test]
async fn the_page_is_legible_in_light_and_in_dark() {
    let stage = Stage::start().await;
    let message = |id: &str, text: &str| {
        let data = json!({
            "id": { "fromMe": false, "remote": "15551234567@c.us", "_serialized": id },
            "body": text, "type": "chat", "from": "15551234567@c.us", "hasMedia": false,
        });
        Delivery::event("message_create", id, &data)
    };
    stage
        .send(&Delivery::event("ready", "evt_0d31", &json!({})))
        .await;
    let reserialised = message("evt_7c02", "Hello!");
    let spaced = String::from_utf8(reserialised.body.clone())
        .unwrap()
        .replace("\":", "\": ");
    stage.send(&reserialised.body(spaced)).await;
    let rule = stage.http.put(stage.url("/_receiver/api/rule"));
    let rule = rule.header("content-type", "application/json");
    rule.body(r#"{"status":500,"next":1}"#)
        .send()
        .await
        .unwrap();
    stage.send(&message("evt_91fa", "Is anybody there?")).await;
    stage
        .send(&Delivery::event(
            "message_ack",
            "evt_44b8",
            &json!({ "ack": 2 }),
        ))
        .await;
    stage
        .send(&message("evt_91fa", "Is anybody there?").with("x-webhook-attempt", "2"))
        .await;
    for (screen, name) in [(Screen::Desktop, "light"), (Screen::DarkDesktop, "dark")] {
        let page = stage.browser_on(screen).await;
        page.wait(&format!("{ROWS} === 5")).await;
        page.click("#delivery-2").await;
        page.wait("document.querySelector('#headers')").await;
        let dark = "matchMedia('(prefers-color-scheme: dark)').matches";
        assert_eq!(page.value(dark).await, name == "dark");
        for css in [
            "body",
            ".hint",
            "#list .id",
            "#signatures .bad",
            "#list .bad",
            "button",
            "#headers th",
        ] {
            let contrast = page.run(CONTRAST, &[json!(css)]).await.as_f64().unwrap();
            assert!(contrast >= 4.5, "{css} in {name}: {contrast}");
        }
        if let (Some(path), "light") = (env::var_os("WAHOOK_PICTURE"), name) {
            fs::write(path, page.screenshot().await).unwrap();
        }
    }
}

/// Script that returns the WCAG contrast ratio of a text to its background.
const CONTRAST: &str = "
  let at = document.querySelector(arguments[0]);
  const light = (color) => color.match(/[\\d.]+/g).slice(0, 3)
    .map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
  const text = light(getComputedStyle(at).color);
  while (at && /, 0\\)$/.test(getComputedStyle(at).backgroundColor)) at = at.parentElement;
  const ground = light(getComputedStyle(at ?? document.documentElement).backgroundColor);
  return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);";
