//! Secrets in a webhook's URL.

use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::receiver::Receiver;

use crate::system::System;

/// `user:hunter2@!` in base64.
const LOGIN: &str = "dXNlcjpodW50ZXIyQCE=";

/// Delivers one event; returns the whole log, and the URL in the record.
async fn deliver(receiver: &Receiver, settings: &[(&str, &str)]) -> (String, String) {
    let system = System::new(receiver, settings);
    let program = system.start().await;
    let client = http_client().unwrap();
    let request = client.post(format!("{}/v1/events", system.events));
    let body = json!({ "event": "call" }).to_string();
    let request = request.header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let record = "SELECT webhookUrl, status FROM webhooklogs WHERE status = 'success'";
    let url = eventually(AT_LAST, "the record", || async {
        system.pairs(record).pop().map(|(url, _)| url)
    })
    .await;
    program.terminate();
    program.wait_exit(AT_LAST).await;
    (program.stderr_so_far(), url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_in_the_url_is_sent_and_in_no_log_line() {
    let receiver = Receiver::start().await;
    let url = receiver
        .url()
        .replace("http://", "http://user:hunter2%40!@");
    let query = format!("{url}?page=1&key=other");
    let settings = [("WEBHOOK_URL", query.as_str()), ("RUST_LOG", "trace")];
    let (log, shown) = deliver(&receiver, &settings).await;
    let posts = receiver.posts();
    let login = posts.first().unwrap().header("authorization");
    assert_eq!(login, Some(format!("Basic {LOGIN}").as_str()));
    let expected = receiver.url().replace("http://", "http://[redacted]@");
    assert_eq!(shown, format!("{expected}?page=1&key=[redacted]"));
    // The log is that of a run at this level.
    assert!(log.contains("TRACE"), "{log}");
    for secret in ["hunter2", LOGIN] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_path_is_in_no_log_line() {
    let receiver = Receiver::start().await;
    let url = format!("{}/hunter2", receiver.url());
    let settings = [
        ("WEBHOOK_URL", url.as_str()),
        ("WEBHOOK_HIDE_URL", "true"),
        ("RUST_LOG", "debug"),
    ];
    let (log, shown) = deliver(&receiver, &settings).await;
    assert!(shown.contains("/sha256-"), "{shown}");
    let line = log.lines().find(|line| line.contains("hunter2"));
    assert_eq!(line, None);
}
