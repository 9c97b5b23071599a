//! Outages of an endpoint, with and without its circuit breaker.

use std::collections::BTreeSet;
use std::env;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::load::Load;
use wahook_tests::program::Metrics;
use wahook_tests::receiver::{Answer, Receiver};

use crate::limits::{SECOND, most_within};
use crate::several::{Several, total};
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "an_endpoint_with_a_circuit_breaker_gets_every_event_after_an_outage",
        survived,
    );
    tests.add(
        "events_without_a_circuit_breaker_are_dead_lettered_after_their_retries",
        exhausted,
    );
    tests.add(
        "more_probes_than_the_delivery_limit_dead_letter_no_event",
        many_probes,
    );
    tests.add(
        "a_paused_endpoint_is_reported_in_metrics_log_and_readyz",
        reported,
    );
}

/// Returns the length of the outage, 40 s. The documented guarantee needs
/// `WAHOOK_OUTAGE_SECONDS=180`.
fn outage() -> Duration {
    let seconds = env::var("WAHOOK_OUTAGE_SECONDS").ok();
    Duration::from_secs(seconds.map_or(40, |text| text.parse().unwrap()))
}

async fn survived(test: Test) {
    const LIMIT: usize = 200;
    let taken = Arc::new(Mutex::new(BTreeSet::new()));
    let taking = Arc::clone(&taken);
    let receiver = Receiver::answering(move |post| {
        taking.lock().unwrap().insert(post.id().unwrap().to_owned());
        Answer::status(200)
    });
    let receiver = receiver.await;
    let address = receiver.address();
    // Without the circuit breaker an event would be dead-lettered after 14 s.
    let endpoints = format!(
        r#"
        [[endpoint]]
        name = "crm"
        url = "{}"
        retry_delay = 2000
        rate_limit = {LIMIT}
        circuit = {{ first_probe = 1000, longest_probe = 5000 }}
        "#,
        receiver.url()
    );
    let several = Several::start(&test, 2, &endpoints).await;
    // 50 events a second.
    let load = Load::start(&several.producer, 5, Duration::from_millis(98), 1_000_000);
    receiver.wait_for(50, AT_LAST).await;
    drop(receiver);
    let down_since = Instant::now();
    eventually(
        AT_LAST,
        "pause of the endpoint by both consumers",
        async || {
            let open = total(&several.consumers, "wahook_circuit_open", &[]).await;
            (open == 2.0).then_some(())
        },
    )
    .await;
    let before = taken.lock().unwrap().clone();
    tokio::time::sleep(outage().saturating_sub(down_since.elapsed())).await;
    let probes = total(&several.consumers, "wahook_probes_total", &[]).await;
    let attempts =
        total(&several.consumers, "wahook_attempts_total", &[]).await - before.len() as f64;
    let receiver = Receiver::start_on(address).await;
    let back = Instant::now();
    let in_outage = load.accepted() - before.len();
    receiver
        .wait_until("all of the outage", AT_LAST, |posts| {
            posts.len() >= in_outage
        })
        .await;
    let caught_up = back.elapsed();
    let mut accepted = load.stop().await;
    accepted.retain(|id| !before.contains(id));
    let missing = || {
        let posts = receiver.posts();
        let got: BTreeSet<_> = posts.iter().filter_map(|post| post.id()).collect();
        accepted
            .iter()
            .filter(|id| !got.contains(id.as_str()))
            .count()
    };
    eventually(
        AT_LAST,
        "every accepted event at the endpoint",
        async || {
            tokio::time::sleep(Duration::from_millis(200)).await;
            (missing() == 0).then_some(())
        },
    )
    .await;
    let mut arrivals: Vec<_> = receiver.posts().iter().map(|post| post.arrived).collect();
    arrivals.sort();
    let most = most_within(10 * SECOND, &arrivals);
    eprintln!(
        "down for {:?} under 50 events/s: {in_outage} waited, {attempts} attempts and {probes} probes meanwhile; \
         caught up {caught_up:.1?} after the outage, at most {most} in any 10 s (limit {LIMIT} a second)",
        outage()
    );
    assert!(most <= 13 * LIMIT, "{most} in 10 seconds");
    assert_eq!(several.depth("wahook.dead").await, 0);
    let settled = async || {
        let statuses = several.statuses("crm").await;
        let all = accepted.len() + before.len();
        (statuses.get("success") >= Some(&(all as u64)) && statuses.len() == 1).then_some(())
    };
    eventually(AT_LAST, "status success of every record", settled).await;
}

async fn exhausted(test: Test) {
    let receiver = Receiver::answering(|_| Answer::status(503)).await;
    let endpoints = format!(
        "[[endpoint]]\nname = \"crm\"\nurl = \"{}\"\nretry_delay = 500\n",
        receiver.url()
    );
    let off = [("WEBHOOK_CIRCUIT", "off")];
    let several = Several::start_with(&test, 1, &endpoints, &off).await;
    several.batch("message_ack", 100).await;
    receiver.wait_for(400, AT_LAST).await;
    eventually(AT_LAST, "100 records with status failed", async || {
        (several.statuses("crm").await == [("failed".to_owned(), 100)].into()).then_some(())
    })
    .await;
    eventually(AT_LAST, "100 dead letters", async || {
        (several.depth("wahook.dead").await == 100).then_some(())
    })
    .await;
    assert_eq!(receiver.posts().len(), 400, "four attempts each");
    let counts = several.consumers[0].metrics().await;
    assert_eq!(counts.sum("wahook_circuit_opened_total"), 0.0);
}

/// The broker dead-letters a message after 100 deliveries.
async fn many_probes(test: Test) {
    let receiver = Receiver::start().await;
    let address = receiver.address();
    let endpoints = format!(
        r#"
        [[endpoint]]
        name = "crm"
        url = "{}"
        retry_attempts = 0
        circuit = {{ failures = 3, first_probe = 100, longest_probe = 100 }}
        "#,
        receiver.url()
    );
    drop(receiver);
    let several = Several::start(&test, 1, &endpoints).await;
    several.batch("message_ack", 20).await;
    let failed = |m: &Metrics| m.sum_where("wahook_probes_total", &[("result", "failed")]);
    let consumer = &several.consumers[0];
    let enough = consumer.wait_metrics("probes", AT_LAST * 2, |m| failed(m) > 130.0);
    enough.await;
    // The first failures are dead-lettered, because there are no retries; later events wait.
    let dead = several.depth("wahook.dead").await;
    assert!(dead < 3, "{dead} dead letters");
    let receiver = Receiver::start_on(address).await;
    let waited = 20 - dead as usize;
    receiver.wait_for(waited, AT_LAST).await;
    let is_empty = async || (several.depth("wahook.deliver.crm").await == 0).then_some(());
    eventually(AT_LAST, "an empty queue", is_empty).await;
    assert_eq!(several.depth("wahook.dead").await, dead);
    let attempts: BTreeSet<_> = receiver.posts().iter().map(|post| post.attempt()).collect();
    assert_eq!(
        attempts,
        [Some(1)].into(),
        "probes do not count as attempts"
    );
    // The log has every attempt, probes included.
    let all = async || {
        let mut found = several.log().find(mongodb::bson::doc! {}).await.ok()?;
        let mut attempts = 0;
        while found.advance().await.ok()? {
            attempts += found
                .deserialize_current()
                .ok()?
                .get_array("attempts")
                .ok()?
                .len();
        }
        let made = consumer.metrics().await.sum("wahook_attempts_total");
        (attempts as f64 == made).then_some(attempts)
    };
    let logged = eventually(AT_LAST, "every attempt in the log", all).await;
    assert!(logged >= 130 + waited, "{logged} attempts");
}

async fn reported(test: Test) {
    let receiver = Receiver::answering(|_| Answer::status(500)).await;
    let healthy = Receiver::start().await;
    let endpoints = format!(
        "[[endpoint]]\nname = \"crm\"\nurl = \"{}\"\n[[endpoint]]\nname = \"bot\"\nurl = \"{}\"\n",
        receiver.url(),
        healthy.url()
    );
    let several = Several::start(&test, 1, &endpoints).await;
    several.batch("message_ack", 60).await;
    let consumer = &several.consumers[0];
    let labels = [("endpoint", "crm")];
    consumer
        .wait_metrics("a pause", AT_LAST, |m| {
            m.sum_where("wahook_circuit_open", &labels) == 1.0
        })
        .await;
    healthy.wait_for(60, AT_LAST).await;
    let counts = consumer.metrics().await;
    assert_eq!(
        counts.sum("wahook_circuit_open"),
        1.0,
        "the other endpoint is not paused"
    );
    consumer.wait_logged("endpoint paused").await;
    let url = format!("{}/readyz", consumer.base_url());
    let http = wahook_tests::http_client::http_client().unwrap();
    let report = eventually(AT_LAST, "the detail of readiness", || async {
        let answer = http.get(&url).send().await.unwrap();
        assert_eq!(
            answer.status(),
            200,
            "a paused endpoint does not affect readiness"
        );
        let text = answer.text().await.unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let detail = report["checks"]["endpoint_crm"]["detail"].as_str().unwrap();
        let is_complete = detail.contains("paused") && detail.contains("answered 500");
        is_complete.then_some(report)
    })
    .await;
    assert_eq!(report["checks"]["endpoint_bot"]["detail"], "");
}
