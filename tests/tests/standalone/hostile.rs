//! Attempts on secrets and on the data file.

use std::fs::{self, OpenOptions};

use reqwest::StatusCode;
use serde_json::json;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::SECRET;
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const TOKEN: &str = "a-token-that-must-not-be-in-the-log-0123456789";

async fn post(system: &System, event: &str) -> StatusCode {
    let http = http_client().unwrap();
    let request = http.post(format!("{}/v1/events", system.events));
    let request = request.bearer_auth(TOKEN);
    let body = json!({ "event": event, "data": { "text": "a private message" } });
    let answer = request.body(body.to_string()).send().await.unwrap();
    answer.status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_of_the_finest_level_has_no_secret() {
    let receiver = Receiver::start().await;
    let settings = [("PRODUCER_TOKEN", TOKEN), ("RUST_LOG", "trace")];
    let system = System::new(&receiver, &settings);
    let program = system.start().await;
    assert_eq!(post(&system, "ready").await, StatusCode::ACCEPTED);
    let posts = receiver.wait_for(1, AT_LAST).await;
    assert!(posts[0].verify(SECRET).is_valid());
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
    let log = program.stderr_so_far();
    assert!(log.contains("TRACE"), "the level is not trace:\n{log}");
    for secret in [TOKEN, SECRET] {
        assert!(!log.contains(secret), "the log has {secret}:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_write_ahead_log_is_recovered_up_to_the_cut() {
    let receiver = Receiver::answering(|_| Answer::status(503)).await;
    for (kept, of) in [(0, 1), (1, 3), (99, 100)] {
        let settings = [("PRODUCER_TOKEN", TOKEN), ("WEBHOOK_CIRCUIT", "off")];
        let system = System::new(&receiver, &settings);
        let program = system.start().await;
        for _ in 0..20 {
            assert_eq!(post(&system, "call").await, StatusCode::ACCEPTED);
        }
        program.kill9().await;
        let log = system.path("wahook.db-wal");
        let length = fs::metadata(&log).unwrap().len();
        assert!(length > 0, "the events are not in the write-ahead log");
        let file = OpenOptions::new().write(true).open(&log).unwrap();
        file.set_len(length * kept / of).unwrap();
        let program = system.start().await;
        assert_eq!(post(&system, "ready").await, StatusCode::ACCEPTED);
        program.terminate();
        assert!(program.wait_exit(AT_LAST).await.success());
        let damaged = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'";
        assert_eq!(system.count(damaged), 0, "kept {kept}/{of}");
        let newest =
            "SELECT count(*) FROM (SELECT 1 FROM messages UNION ALL SELECT 1 FROM waiting)";
        assert!(system.count(newest) >= 1, "kept {kept}/{of}");
    }
}
