//! HTTP API of the page: formats, errors, limits and access.

use wahook_tests::eventually::AT_LAST;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::stage::{Delivery, Stage};

async fn rule(stage: &Stage, content_type: &str, body: &str) -> (StatusCode, Value) {
    let url = stage.url("/_receiver/api/rule");
    let request = stage.http.put(url).header("content-type", content_type);
    let answer = request.body(body.to_owned()).send().await.unwrap();
    let status = answer.status();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

#[tokio::test]
async fn a_rule_is_accepted_or_refused_with_a_reason() {
    let stage = Stage::start().await;
    let json = "application/json";
    let whole = r#"{"status":429,"retry_after_s":3,"delay_ms":0,"next":2}"#;
    let (status, accepted) = rule(&stage, json, whole).await;
    assert_eq!(
        (status, accepted),
        (StatusCode::OK, serde_json::from_str(whole).unwrap())
    );
    assert_eq!(stage.ask("deliveries").await["rule"]["next"], 2);
    for (content_type, body, expected, reason) in [
        (json, "{", 400, "JSON"),
        (json, "{}", 400, "status"),
        (json, r#"{"status":200,"other":1}"#, 400, "other"),
        ("text/plain", r#"{"status":500}"#, 415, "application/json"),
        (json, r#"{"status":99}"#, 422, "200 to 599"),
        (json, r#"{"status":200,"delay_ms":600001}"#, 422, "600"),
    ] {
        let (status, problem) = rule(&stage, content_type, body).await;
        assert_eq!(status, expected, "{body}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{reason} in {detail}");
    }
    let end = stage
        .http
        .delete(stage.url("/_receiver/api/rule"))
        .send()
        .await
        .unwrap();
    assert_eq!(end.status(), 200);
    assert_eq!(stage.ask("deliveries").await["rule"]["status"], 200);
}

#[tokio::test]
async fn foreign_host_names_and_origins_are_refused() {
    let stage = Stage::start().await;
    for (name, value) in [
        ("host", "evil.example:4000"),
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        for (method, path) in [
            (Method::GET, "/_receiver/api/deliveries"),
            (Method::GET, "/_receiver/api/stream"),
            (Method::DELETE, "/_receiver/api/deliveries"),
            (Method::DELETE, "/_receiver/api/rule"),
            (Method::GET, "/_receiver/page.js"),
        ] {
            let request = stage.http.request(method.clone(), stage.url(path));
            let answer = request.header(name, value).send().await.unwrap();
            assert_eq!(answer.status(), 403, "{method} {path} with {name}: {value}");
        }
    }
    let page = stage
        .http
        .get(stage.url("/"))
        .header("host", "evil.example");
    assert_eq!(page.send().await.unwrap().status(), 403);
    // Webhooks may use any host name, for example from a container or through a tunnel.
    let webhook = stage
        .http
        .post(stage.url("/hook"))
        .header("host", "receiver.example");
    assert_eq!(webhook.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn every_path_outside_the_page_is_a_webhook() {
    let stage = Stage::start().await;
    for (method, path) in [
        ("POST", "/"),
        ("PUT", "/a/b?c=d"),
        ("DELETE", "/x"),
        ("GET", "/favicon.ico"),
        ("PURGE", "/_receive"),
    ] {
        let method = method.parse().unwrap();
        let answer = stage
            .http
            .request(method, stage.url(path))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    let all = stage.ask("deliveries").await;
    let targets: Vec<_> = all["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| &d["target"])
        .collect();
    assert_eq!(
        targets,
        ["/", "/a/b?c=d", "/x", "/favicon.ico", "/_receive"]
    );
    for path in [
        "/_receiver/nothing",
        "/_receiver/api/deliveries/99",
        "/_receiver/api/deliveries/x/body",
        "/_receiver/../etc/passwd%00",
    ] {
        let answer = stage.http.get(stage.url(path)).send().await.unwrap();
        if path.contains("..") {
            // The client has resolved `..`, so this is a webhook.
            continue;
        }
        assert_eq!(answer.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_and_shown_as_refused() {
    let stage = Stage::start().await;
    let whole = Delivery::event("ready", "evt_1", &json!({})).body(vec![b'x'; 15 << 20]);
    assert_eq!(stage.send(&whole).await.status(), 200);
    let larger = whole.body(vec![b'x'; (15 << 20) + 1]);
    assert_eq!(stage.send(&larger).await.status(), 413);
    assert_eq!(stage.body_of(1).await.len(), 15 << 20);
    let refused = stage.ask("deliveries/2").await;
    assert!(
        refused["body"]["cut"].as_str().unwrap().contains("15 MiB"),
        "{refused}"
    );
    assert_eq!(refused["answer"]["status"], 413);
}

#[tokio::test]
async fn a_stop_waits_neither_for_open_pages_nor_for_delayed_answers() {
    let stage = Stage::start().await;
    let (status, _) = rule(
        &stage,
        "application/json",
        r#"{"status":200,"delay_ms":600000}"#,
    )
    .await;
    assert_eq!(status, 200);
    let mut open = stage
        .http
        .get(stage.url("/_receiver/api/stream"))
        .send()
        .await
        .unwrap();
    assert!(open.chunk().await.unwrap().is_some());
    let delayed = Delivery::event("ready", "evt_1", &json!({}));
    let (answer, exit) = tokio::join!(stage.send(&delayed), async {
        open.chunk().await.unwrap();
        stage.receiver.terminate();
        stage.receiver.wait_exit(AT_LAST).await
    });
    assert_eq!(answer.status(), 200);
    assert!(exit.success(), "{exit}");
}
