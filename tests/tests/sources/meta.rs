//! Registration at Meta, and its batches.

use serde_json::{Value, json};

use crate::cases::cases;
use crate::encoding::Encoding;
use crate::signature::sha256;
use crate::stage::Stage;

const APP_SECRET: &str = "the app secret";
const VERIFY_TOKEN: &str = "verify+token/of=meta";
/// `VERIFY_TOKEN` in a query.
const IN_QUERY: &str = "verify%2Btoken%2Fof%3Dmeta";

fn sources(form: &str) -> String {
    format!(
        "[[source]]\nname = \"meta\"\nkind = \"meta\"\ndeliver = \"{form}\"\n\
         secret = \"{APP_SECRET}\"\ntoken = \"{VERIFY_TOKEN}\"\n"
    )
}

fn query(token: &str) -> String {
    format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registration_is_answered_with_the_challenge() {
    let stage = Stage::start(&sources("documented"), &[]).await;
    for path in ["meta", "meta/", "meta/any/path"] {
        let answer = stage.get(&format!("{path}?{}", query(IN_QUERY))).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.body, "1158201444");
        assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    }
    for token in ["", "another-token-of-meta", "verify%2Btoken%2Fof%3Dmet"] {
        let answer = stage.get(&format!("meta?{}", query(token))).await;
        assert_eq!(answer.status, 403, "{token}");
        assert_eq!(
            answer.json()["type"],
            "urn:wahook:problem:wrong-verify-token"
        );
    }
    let without_mode = format!("meta?hub.challenge=1&hub.verify_token={IN_QUERY}");
    assert_eq!(stage.get(&without_mode).await.status, 405);
    assert_eq!(stage.get("unknown").await.status, 404);
    let labels = [("source", "meta"), ("reason", "unauthorized")];
    let refused = stage.metrics().await;
    let refused = refused.sum_where("wahook_source_events_refused_total", &labels);
    assert_eq!(refused, 3.0);
    let log = stage.program.stderr_so_far();
    for shown in [IN_QUERY, VERIFY_TOKEN] {
        assert!(!log.contains(shown), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_source_of_meta_is_registered() {
    let stage = Stage::start("", &[]).await;
    let answer = stage.get(&format!("waha?{}", query(""))).await;
    assert_eq!(answer.status, 405, "{}", answer.body);
    assert_eq!(answer.headers["allow"], "POST");
    let markup = stage
        .get("meta?hub.mode=subscribe&hub.challenge=%3Cb%3E1%3C/b%3E")
        .await;
    assert_eq!((markup.status.as_u16(), markup.body.as_str()), (200, "b1b"));
}

/// Sample with two messages.
fn batch() -> String {
    let mut cases = cases("meta").into_iter();
    cases
        .find(|case| case.about == "sample" || case.parts.len() == 2)
        .unwrap()
        .body
}

async fn post(stage: &Stage) -> Value {
    let body = Encoding::EscapedJson.encode(&batch());
    let signature = format!("sha256={}", sha256(APP_SECRET, &body));
    let headers = [
        ("content-type", "application/json"),
        ("x-hub-signature-256", signature.as_str()),
    ];
    let answer = stage.post("meta", &headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_request_are_one_event_as_received() {
    let stage = Stage::start(&sources("as-received"), &[]).await;
    let answer = post(&stage).await;
    let delivered = stage.delivery(answer["id"].as_str().unwrap()).await;
    assert_eq!(delivered.body, Encoding::EscapedJson.encode(&batch()));
    assert_eq!(post(&stage).await["duplicate"], json!(true));
    assert_eq!(stage.posts_so_far("last").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_request_are_events_of_their_own_if_documented() {
    let stage = Stage::start(&sources("documented"), &[]).await;
    let answer = post(&stage).await;
    let events = answer["events"].as_array().unwrap();
    assert_eq!(events.len(), 2, "{answer}");
    for event in events {
        stage.delivery(event["id"].as_str().unwrap()).await;
    }
    let again = post(&stage).await;
    let again = again["events"].as_array().unwrap();
    assert!(
        again.iter().all(|event| event["duplicate"] == true),
        "{again:?}"
    );
    assert_eq!(stage.posts_so_far("last").await, 2);
}
