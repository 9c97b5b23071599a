//! Store and forward: the producer accepts events while the broker is unreachable.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use reqwest::StatusCode;
use serde_json::{Value, json};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::program::Program;
use wahook_tests::receiver::Receiver;
use wahook_tests::tcp_proxy::{Network, TcpProxy};

use crate::outage::{LEAST_BYTES, Outage, event};
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "events_of_a_broker_outage_are_spooled_and_forwarded_in_order",
        outage,
    );
    tests.add(
        "a_killed_producer_forwards_its_spool_after_a_restart",
        killed,
    );
    tests.add("a_stopped_producer_keeps_its_spool", stopped);
    tests.add(
        "a_spooled_event_without_an_endpoint_is_dropped_once_the_broker_says_so",
        unwanted,
    );
    tests.add(
        "a_broker_without_queues_gets_its_spool_after_a_consumer_starts",
        no_queue,
    );
}

async fn outage(test: Test) {
    let outage = Outage::start(&test, LEAST_BYTES).await;
    outage.post(0..3).await;
    outage.cut().await;
    outage.post(3..30).await;
    let repeated = outage.pair.post(&event(7)).await;
    assert_eq!(repeated.status, StatusCode::OK);
    assert_eq!(repeated.json()["duplicate"], true);
    // A confirm that is late, of an event before or after the outage, stores that event too.
    let stored = outage.wait_events_from(27).await;
    let has_all = |check: &Value| check["detail"].to_string().contains(" events");
    let check = outage.wait_check(has_all).await;
    assert_eq!(check["ok"], true, "{check}");

    outage.network.set(Network::Works);
    outage.wait_events(0).await;
    outage.wait_check(|check| check["detail"] == "").await;
    outage.post(30..33).await;
    outage.assert_delivered(33).await;
    let metrics = outage.pair.producer.metrics().await;
    let stored = metrics.sum("wahook_spool_stored_total").max(stored);
    if stored == 27.0 {
        assert_eq!(outage.pair.receiver.count(), 33, "no repeats");
    }
    for (name, value) in [
        ("wahook_spool_stored_total", stored),
        ("wahook_spool_forwarded_total", stored),
        ("wahook_spool_bytes", 0.0),
        ("wahook_spool_max_bytes", 33_554_432.0),
        ("wahook_events_accepted_total", 33.0),
        ("wahook_events_duplicate_total", 1.0),
    ] {
        assert_eq!(metrics.get(name), Some(value), "{name}");
    }
    let log = outage.pair.producer.wait_logged("spool empty").await;
    for part in ["storing them in the spool", "spool empty"] {
        assert_eq!(log.matches(part).count(), 1, "{part} in {log}");
    }
    let mode = fs::metadata(outage.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

async fn killed(test: Test) {
    let mut outage = Outage::start(&test, LEAST_BYTES).await;
    outage.cut().await;
    outage.post(0..20).await;
    outage.pair.producer.kill9().await;
    outage.restart().await;
    outage.wait_events(20).await;
    outage.post(20..25).await;
    outage.pair.producer.kill9().await;
    // The broker is back before the producer: new events still wait behind the spooled ones.
    outage.network.set(Network::Works);
    outage.restart().await;
    outage.post(25..30).await;
    outage.assert_delivered(30).await;
    outage.wait_events(0).await;
}

async fn stopped(test: Test) {
    let mut outage = Outage::start(&test, LEAST_BYTES).await;
    outage.cut().await;
    outage.post(0..10).await;
    outage.pair.producer.terminate();
    let status = outage.pair.producer.wait_exit(AT_LAST).await;
    assert_eq!(status.code(), Some(0));
    outage.network.set(Network::Works);
    outage.restart().await;
    outage.assert_delivered(10).await;
}

async fn unwanted(test: Test) {
    let folder = RunFolder::temporary("endpoints").unwrap();
    let file = folder.join("endpoints.toml");
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let only_calls =
        format!("[[endpoint]]\nname = \"crm\"\nurl = \"{url}\"\nevents = [\"call\"]\n");
    fs::write(&file, only_calls).unwrap();
    let settings = [
        ("WEBHOOK_URL", ""),
        ("WEBHOOK_SECRET", ""),
        ("WEBHOOK_ENDPOINTS", file.to_str().unwrap()),
    ];
    let outage = Outage::start_with(&test, LEAST_BYTES, receiver, &settings).await;
    outage.cut().await;
    for n in 0..20 {
        let name = if n % 2 == 0 { "call" } else { "message_create" };
        let event = json!({"event": name, "data": {"n": n}});
        let answer = outage.pair.post(&event).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
    }
    outage.network.set(Network::Works);
    outage.wait_events(0).await;
    let metrics = outage.pair.producer.metrics().await;
    assert_eq!(metrics.get("wahook_spool_unwanted_total"), Some(10.0));
    assert_eq!(metrics.get("wahook_spool_forwarded_total"), Some(10.0));
    let posts = outage.pair.receiver.wait_for(10, AT_LAST).await;
    assert!(posts.iter().all(|post| post.event() == Some("call")));
    assert_eq!(posts.len(), 10, "no repeats");
}

async fn no_queue(test: Test) {
    let place = test.place();
    let folder = RunFolder::temporary("spool-early").unwrap();
    let path = folder.join("spool.db");
    let (network, amqp_url) = TcpProxy::to_server_of(&place.amqp_url).await;
    network.set(Network::Cut);
    let producer = Program::producer(&[
        ("AMQP_URL", &amqp_url),
        ("PRODUCER_SPOOL", path.to_str().unwrap()),
    ])
    .await;
    let http = http_client().unwrap();
    let url = format!("{}/v1/events", producer.base_url());
    let request = http.post(&url).header("content-type", "application/json");
    let answer = request.body(event(0).to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    network.set(Network::Works);
    producer.wait_logged("no queue is bound").await;
    let pair = test.pair(Receiver::start().await, &[]).await;
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].event(), Some("message_create"));
}
