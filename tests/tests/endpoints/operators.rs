//! Pauses and probes by operators.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::load::Load;
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::tcp_proxy::{Network, TcpProxy};

use crate::several::{Several, total};
use crate::world::{Test, Tests};

const QUEUE: &str = "wahook.deliver.crm";
const PAUSED: &str = "wahook_endpoint_paused";

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_pause_under_load_is_in_effect_on_all_consumers_and_loses_nothing",
        under_load,
    );
    tests.add(
        "a_pause_lasts_over_a_restart_and_an_outage_of_the_log",
        lasting,
    );
    tests.add(
        "a_requested_probe_resumes_an_endpoint_that_works_again",
        probed,
    );
    tests.add(
        "an_order_for_an_unknown_endpoint_is_refused_with_the_known_ones",
        refused,
    );
}

fn crm(receiver: &Receiver, more: &str) -> String {
    let url = receiver.url();
    format!("[[endpoint]]\nname = \"crm\"\nurl = \"{url}\"\n{more}\n")
}

async fn command(several: &Several, arguments: &[&str]) -> Ran {
    let file = several.path("endpoints.toml").display().to_string();
    let settings = [
        ("AMQP_URL", several.place.amqp_url.as_str()),
        ("MONGODB_URI", several.place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", several.place.database.as_str()),
        ("WEBHOOK_ENDPOINTS", file.as_str()),
        ("USER", "ann"),
    ];
    let arguments = [&["endpoints"], arguments].concat();
    let command = Command::start(ProgramName::Consumer, &arguments, &settings);
    command.await.finish().await
}

/// Waits until this number of consumers has paused the endpoint, and none sends.
async fn until_paused(consumers: &[Program], expected: usize) {
    let crm = [("endpoint", "crm")];
    eventually(AT_LAST, "the pause at all consumers", async || {
        let paused = total(consumers, PAUSED, &crm).await;
        let in_flight = total(consumers, "wahook_deliveries_in_flight", &crm).await;
        (paused == expected as f64 && in_flight == 0.0).then_some(())
    })
    .await;
}

fn ids(receiver: &Receiver) -> BTreeSet<String> {
    let posts = receiver.posts();
    let ids = posts.iter().filter_map(|post| post.id());
    ids.map(str::to_owned).collect()
}

async fn readiness(consumer: &Program) -> (StatusCode, Value) {
    let answer = reqwest::get(format!("{}/readyz", consumer.base_url())).await;
    let answer = answer.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap())
}

async fn under_load(test: Test) {
    let receiver = Receiver::answering(|_| Answer::status(200).after(Duration::from_millis(50)));
    let receiver = receiver.await;
    let mut several = Several::start(&test, 3, &crm(&receiver, "")).await;
    let load = Load::start(&several.producer, 5, Duration::from_millis(20), 1_000_000);
    receiver.wait_for(100, AT_LAST).await;
    let reason = "crm gets a new version";
    let given = command(&several, &["pause", "crm", "--reason", reason]).await;
    let ordered = Instant::now();
    assert!(given.printed().contains("crm is paused"), "{given:?}");
    until_paused(&several.consumers, 3).await;

    let at_pause = receiver.count();
    let posts = receiver.posts();
    let last = posts.iter().map(|post| post.arrived).max().unwrap();
    let took = last.saturating_duration_since(ordered);
    // Not checked: a busy machine needs longer.
    eprintln!("last attempt {took:.1?} after the order; 2 s are documented");
    let (status, report) = readiness(&several.consumers[0]).await;
    let note = report["checks"]["endpoint_crm"]["detail"].as_str().unwrap();
    assert_eq!(status, StatusCode::OK, "{report}");
    assert!(note.contains("paused by an operator (ann, "), "{note}");
    assert!(note.ends_with(&format!("{reason}; events wait in the queue")));
    several.consumers[0]
        .wait_logged("endpoint paused by an operator")
        .await;

    // A consumer that is killed and one that starts change nothing.
    several.consumers.remove(0).kill9().await;
    let path = several.path("endpoints.toml");
    let file = std::fs::read_to_string(path).unwrap();
    let started = several.another("started.toml", &file).await;
    several.consumers.push(started);
    until_paused(&several.consumers, 3).await;
    let accepted = load.accepted();
    eventually(AT_LAST, "more events", async || {
        (load.accepted() > accepted + 100).then_some(())
    })
    .await;
    let accepted = load.stop().await;
    eventually(AT_LAST, "all other events in the queue", async || {
        let waiting = several.depth(QUEUE).await as usize;
        (waiting >= accepted.len() - at_pause).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), at_pause);
    let listed = command(&several, &["list", "--json"]).await;
    let row: Value = serde_json::from_str(listed.printed().trim()).unwrap();
    assert_eq!(row["paused"]["by"], "ann, command line");
    assert_eq!(row["paused"]["reason"], reason);

    let given = command(&several, &["resume", "crm"]).await;
    assert!(given.printed().contains("crm is resumed"), "{given:?}");
    eventually(AT_LAST, "every accepted event", async || {
        let got = ids(&receiver);
        accepted.is_subset(&got).then_some(())
    })
    .await;
    eventually(AT_LAST, "status success of every record", async || {
        let statuses = several.statuses("crm").await;
        let all = [("success".to_owned(), accepted.len() as u64)];
        (statuses == all.into()).then_some(())
    })
    .await;
    until_paused(&several.consumers, 0).await;
    assert_eq!(several.depth("wahook.dead").await, 0);
}

async fn lasting(test: Test) {
    let receiver = Receiver::start().await;
    let mut several = Several::start(&test, 1, &crm(&receiver, "")).await;
    command(&several, &["pause", "crm"]).await.printed();
    let consumer = several.consumers.remove(0);
    consumer.terminate();
    assert!(consumer.wait_exit(AT_LAST).await.success());
    let (proxy, proxied) = TcpProxy::to_server_of(&several.place.mongodb_uri).await;
    several.place.mongodb_uri = proxied;
    let file = crm(&receiver, "");
    let consumer = several.another("started.toml", &file).await;
    several.consumers.push(consumer);
    several.batch("message_ack", 20).await;
    until_paused(&several.consumers, 1).await;

    proxy.set(Network::Cut);
    eventually(AT_LAST, "the outage in the log", async || {
        let stderr = several.consumers[0].stderr_so_far();
        stderr
            .contains("pauses of operators can't be read")
            .then_some(())
    })
    .await;
    several.batch("message_ack", 20).await;
    assert_eq!(total(&several.consumers, PAUSED, &[]).await, 1.0);
    assert_eq!(several.depth(QUEUE).await, 40);
    assert_eq!(receiver.count(), 0);
    proxy.set(Network::Works);
    eventually(AT_LAST, "the end of the outage in the log", async || {
        let stderr = several.consumers[0].stderr_so_far();
        let lines = |text| stderr.matches(text).count();
        let failed = lines("pauses of operators can't be read");
        (lines("pauses of operators are read again") == failed).then_some(())
    })
    .await;
    command(&several, &["resume", "crm"]).await.printed();
    receiver.wait_for(40, AT_LAST).await;
}

async fn probed(test: Test) {
    let works = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&works);
    let receiver = Receiver::answering(move |_| {
        let works = state.load(Ordering::Relaxed);
        Answer::status(if works { 200 } else { 500 })
    });
    let receiver = receiver.await;
    let rule = "circuit = { failures = 3, first_probe = 3600000, longest_probe = 3600000 }\n\
                retry_delay = 500";
    let several = Several::start(&test, 1, &crm(&receiver, rule)).await;
    several.batch("message_ack", 20).await;
    let consumer = &several.consumers[0];
    let is_open = |m: &wahook_tests::program::Metrics| m.sum("wahook_circuit_open") == 1.0;
    consumer.wait_metrics("a pause", AT_LAST, is_open).await;

    // Nothing is sent to an endpoint that an operator has paused too.
    command(&several, &["pause", "crm"]).await.printed();
    until_paused(&several.consumers, 1).await;
    let refused = command(&several, &["probe", "crm"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("crm is paused by an operator"));
    works.store(true, Ordering::Relaxed);
    command(&several, &["resume", "crm"]).await.printed();
    until_paused(&several.consumers, 0).await;
    let counts = consumer.metrics().await;
    assert!(is_open(&counts) && counts.sum("wahook_probes_total") == 0.0);

    command(&several, &["probe", "crm"]).await.printed();
    eventually(AT_LAST, "every delivery", async || {
        let statuses = several.statuses("crm").await;
        (statuses == [("success".to_owned(), 20)].into()).then_some(())
    })
    .await;
}

async fn refused(test: Test) {
    let receiver = Receiver::start().await;
    let several = Several::start(&test, 1, &crm(&receiver, "")).await;
    for request in ["pause", "resume", "probe"] {
        let refused = command(&several, &[request, "crn"]).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let expected = "endpoint crn is not configured; configured are: crm";
        assert!(refused.stderr.contains(expected), "{refused:?}");
    }
    let refused = command(&several, &["pause", "crm", "--reason", ""]).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("a reason must be one line"),
        "{refused:?}"
    );
}
