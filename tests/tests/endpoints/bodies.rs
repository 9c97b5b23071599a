//! Bodies in the canonical form and as the gateway sent them.

use std::sync::atomic::Ordering;

use mongodb::bson::{Document, doc};
use reqwest::StatusCode;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::exact_bodies::{
    NUMBER, OF_ANOTHER, OF_PERSON, REDACTION, SENT, assert_both_forms, both_forms,
    exact_without_retries, wait_for_all_persons,
};
use wahook_tests::http_client::http_client;
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::receiver::Receiver;

use crate::several::Several;
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "each_endpoint_receives_the_body_in_its_form_also_after_a_retry_and_a_redrive",
        forms,
    );
    tests.add(
        "kept_bytes_are_in_no_redacted_record_and_are_erased_with_their_dead_letters",
        privacy,
    );
}

/// Sends events to a producer that publishes bodies as they were sent.
async fn send(several: &Several, events: &[&'static str]) {
    let producer = Program::producer(&[
        ("AMQP_URL", &several.place.amqp_url),
        ("PRODUCER_KEEP_EXACT", "true"),
    ])
    .await;
    producer.wait_ready(AT_LAST * 3).await;
    let url = format!("{}/v1/events", producer.base_url());
    for event in events {
        let request = http_client().unwrap().post(&url).body(*event);
        let request = request.header("content-type", "application/json");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
}

async fn run(several: &Several, arguments: &[&str]) -> Ran {
    let place = &several.place;
    let settings = [
        ("AMQP_URL", place.amqp_url.as_str()),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
    ];
    let command = Command::start(ProgramName::Consumer, arguments, &settings);
    command.await.finish().await
}

async fn wait_for_dead(several: &Several, count: u32) {
    eventually(AT_LAST, "the dead letters", async || {
        (several.depth("wahook.dead").await == count).then_some(())
    })
    .await;
}

async fn wait_for_records(several: &Several, filter: Document, count: u64) {
    eventually(AT_LAST, "the records", async || {
        let found = several.log().count_documents(filter.clone()).await;
        (found.unwrap() == count).then_some(())
    })
    .await;
}

async fn forms(test: Test) {
    let canonical = Receiver::start().await;
    let (exact, works) = Receiver::switched().await;
    let several = Several::start(&test, 1, &both_forms(&canonical, &exact)).await;
    send(&several, &[SENT]).await;
    wait_for_dead(&several, 1).await;
    works.store(true, Ordering::Relaxed);
    run(&several, &["dead", "redrive", "--all"]).await;
    assert_both_forms(&canonical, &exact, 3).await;
    // The log has the canonical values, whatever the endpoint receives.
    wait_for_records(&several, doc! {"status": "success", "payload.e": 1000}, 2).await;
}

async fn privacy(test: Test) {
    let (exact, works) = Receiver::switched().await;
    let endpoints = exact_without_retries(&exact);
    let several = Several::start_with(&test, 1, &endpoints, &[REDACTION]).await;
    send(&several, &[OF_PERSON[0], OF_PERSON[1], OF_ANOTHER]).await;
    wait_for_all_persons(&exact).await;
    wait_for_dead(&several, 3).await;
    let redacted = doc! {"status": "failed", "payload.note": "[redacted by wahook]"};
    wait_for_records(&several, redacted, 3).await;

    let erased = run(&several, &["erase", "--number", NUMBER]).await;
    let expected = "2 records and 2 dead letters erased";
    assert!(erased.printed().contains(expected), "{erased:?}");
    wait_for_dead(&several, 1).await;
    works.store(true, Ordering::Relaxed);
    exact.forget();
    run(&several, &["dead", "redrive", "--all"]).await;
    let posts = exact.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].body, OF_ANOTHER.as_bytes());
    let delivered = doc! {
        "status": "success",
        "payload": {"from": "15550002222@c.us", "note": "[redacted by wahook]"},
    };
    wait_for_records(&several, delivered, 1).await;
    assert_eq!(exact.count(), 1);
}
