//! Bodies in the canonical form and as the gateway sent them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use mongodb::bson::doc;
use reqwest::StatusCode;
use wahook_tests::eventually::eventually;
use wahook_tests::http_client::http_client;
use wahook_tests::program::{Command, Program, ProgramName};
use wahook_tests::receiver::{Answer, Receiver};

use crate::several::{SOON, Several};
use crate::world::{Test, Tests};

const SECRET: &str = "the secret of both";
const SENT: &str = r#"{ "data" : {"n": 9007199254740993, "e": 1e3}, "event":"test" }"#;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "each_endpoint_receives_the_body_in_its_form_also_after_a_retry_and_a_redrive",
        forms,
    );
}

fn endpoint(name: &str, receiver: &Receiver, more: &str) -> String {
    let url = receiver.url();
    let start = format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\n");
    format!("{start}secret = \"{SECRET}\"\n{more}\n")
}

/// Sends one event to a producer that publishes bodies as they were sent.
async fn send(several: &Several) {
    let producer = Program::producer(&[
        ("AMQP_URL", &several.place.amqp_url),
        ("PRODUCER_KEEP_EXACT", "true"),
    ])
    .await;
    producer.wait_ready(SOON * 3).await;
    let url = format!("{}/v1/events", producer.base_url());
    let request = http_client().unwrap().post(url).body(SENT);
    let request = request.header("content-type", "application/json");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
}

async fn forms(test: Test) {
    let is_down = Arc::new(AtomicBool::new(true));
    let fails = Arc::clone(&is_down);
    let canonical = Receiver::start().await;
    let exact =
        Receiver::answering(move |_| Answer::status(if fails.load(SeqCst) { 500 } else { 200 }));
    let exact = exact.await;
    let retries = "retry_attempts = 1\nretry_delay = 100\nbody = \"exact\"";
    let endpoints = endpoint("canonical", &canonical, "") + &endpoint("exact", &exact, retries);
    let several = Several::start(&test, 1, &endpoints).await;
    send(&several).await;
    let dead = "wahook.dead";
    eventually(SOON, "the dead letter", || async {
        (several.depth(dead).await == 1).then_some(())
    })
    .await;
    is_down.store(false, SeqCst);
    let settings = [("AMQP_URL", several.place.amqp_url.as_str())];
    let redrive = ["dead", "redrive", "--all"];
    let redriven = Command::start(ProgramName::Consumer, &redrive, &settings).await;
    redriven.finish().await;
    let posts = exact.wait_for(3, SOON).await;
    for post in &posts {
        assert_eq!(post.body, SENT.as_bytes());
        assert!(post.verify(SECRET).is_valid(), "{}", post.verify(SECRET));
    }
    let posts = canonical.wait_for(1, SOON).await;
    let body = String::from_utf8(posts[0].body.to_vec()).unwrap();
    let start = r#"{"event":"test","data":{"n":9007199254740992,"e":1000},"timestamp":"#;
    assert!(body.starts_with(start), "{body}");
    assert!(posts[0].verify(SECRET).is_valid());
    // The log has the canonical values, whatever the endpoint receives.
    let recorded = doc! {"status": "success", "payload.e": 1000};
    eventually(SOON, "both records", || async {
        let count = several.log().count_documents(recorded.clone()).await;
        (count.unwrap() == 2).then_some(())
    })
    .await;
}
