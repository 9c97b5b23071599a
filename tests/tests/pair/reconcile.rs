//! Command `reconcile`: finds every event, reports missing ones, and reports no loss that it
//! cannot determine.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lapin::options::{BasicGetOptions, QueuePurgeOptions};
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::load::Load;
use wahook_tests::pair::Pair;
use wahook_tests::program::{Command, Metrics, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::dead_letters::channel;
use crate::world::{Test, Tests};

/// Long enough for these consumers, which hold no message for long.
const GRACE: [&str; 2] = ["--grace", "6s"];
const ONE_QUICK_RETRY: [(&str, &str); 2] = [
    ("WEBHOOK_RETRY_ATTEMPTS", "1"),
    ("WEBHOOK_RETRY_DELAY", "100"),
];

pub(crate) fn add(tests: &mut Tests) {
    tests.add("events_in_every_state_are_accounted_for", everywhere);
    tests.add(
        "events_in_lanes_without_an_order_are_accounted_for",
        in_lanes,
    );
    tests.add("events_under_load_are_accounted_for", under_load);
    tests.add("a_deleted_record_is_reported", deleted_record);
    tests.add("a_removed_dead_letter_is_reported", removed_dead_letter);
    tests.add("a_removed_message_is_reported", removed_message);
    tests.add("a_removed_retry_is_reported", removed_retry);
    tests.add(
        "an_id_that_was_never_accepted_is_reported_lost",
        never_accepted,
    );
    tests.add("prefetched_messages_are_not_reported_lost", held);
    tests.add("events_of_a_paused_endpoint_are_accounted_for", paused);
    tests.add("inspections_do_not_exhaust_the_delivery_limit", often);
    tests.add("results_waiting_in_the_broker_are_counted", waiting_results);
    tests.add("an_incomplete_reconciliation_exits_with_2", incomplete);
}

/// Delivers `call`, fails `ready` for good, and others once.
fn by_name(post: &Post) -> Answer {
    match post.event() {
        Some("call") => Answer::status(200),
        Some("ready") => Answer::status(410),
        _ => Answer::status(500),
    }
}

/// Starts a pair that retries after five minutes.
async fn pair(test: &Test) -> Pair {
    let receiver = Receiver::answering(by_name).await;
    test.pair(receiver, &[("WEBHOOK_RETRY_SCHEDULE", "5m")])
        .await
}

async fn run(pair: &Pair, arguments: &[&str]) -> Ran {
    let arguments = [&["reconcile"], arguments].concat();
    let place = pair.place();
    let settings = [
        ("AMQP_URL", place.amqp_url.as_str()),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
    ];
    Command::start(ProgramName::Consumer, &arguments, &settings)
        .await
        .finish()
        .await
}

/// Reconciles the default window, or these ids. Returns the exit status and the output.
async fn reconcile(pair: &Pair, ids: Option<&[String]>, more: &[&str]) -> (Option<i32>, Value) {
    let folder = RunFolder::temporary("accepted").unwrap();
    let file = folder.join("ids");
    let mut arguments = [&["--json"], more].concat();
    if !more.contains(&"--grace") {
        arguments.extend(GRACE);
    }
    if let Some(ids) = ids {
        fs::write(&file, ids.join("\n")).unwrap();
        arguments.extend(["--accepted", file.to_str().unwrap()]);
    }
    let ran = run(pair, &arguments).await;
    let printed = serde_json::from_str(&ran.stdout);
    let printed = printed.unwrap_or_else(|_| panic!("{}{}", ran.stdout, ran.stderr));
    (ran.status.code(), printed)
}

/// Posts events of this name and waits until their records have this status.
async fn settled(pair: &Pair, name: &str, count: usize, status: &'static str) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(pair.post(&json!({"event": name})).await.accepted_id());
    }
    for id in &ids {
        let is_right = |record: &Document| record.get_str("status").ok() == Some(status);
        pair.wait_record(id, AT_LAST, is_right).await;
    }
    ids
}

async fn stop_consumer(pair: &Pair) {
    let consumer = pair.take_consumer();
    consumer.terminate();
    assert!(consumer.wait_exit(AT_LAST).await.success());
}

fn total(printed: &Value) -> [u64; 4] {
    let total = &printed["total"];
    ["delivered", "failed", "retrying", "queued"].map(|place| total[place].as_u64().unwrap())
}

/// Returns kinds and ids of the findings.
fn findings(printed: &Value) -> BTreeSet<(&str, &str)> {
    let findings = printed["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            (
                finding["kind"].as_str().unwrap(),
                finding["id"].as_str().unwrap(),
            )
        })
        .collect()
}

async fn everywhere(test: Test) {
    let pair = pair(&test).await;
    let mut ids = settled(&pair, "call", 4, "success").await;
    ids.extend(settled(&pair, "ready", 3, "failed").await);
    ids.extend(settled(&pair, "qr", 2, "retrying").await);
    let (status, printed) = reconcile(&pair, None, &[]).await;
    assert_eq!(
        (status, total(&printed)),
        (Some(0), [4, 3, 2, 0]),
        "{printed}"
    );
    stop_consumer(&pair).await;
    for _ in 0..5 {
        ids.push(pair.post(&json!({"event": "call"})).await.accepted_id());
    }
    let (status, printed) = reconcile(&pair, None, &[]).await;
    assert_eq!(
        (status, total(&printed)),
        (Some(0), [4, 3, 2, 5]),
        "{printed}"
    );
    let (status, printed) = reconcile(&pair, Some(&ids), &[]).await;
    assert_eq!(
        (status, total(&printed)),
        (Some(0), [4, 3, 2, 5]),
        "{printed}"
    );
    assert_eq!(printed["accepted"], 14);
    assert_eq!(printed["adds_up"], true);

    // Redriven events without an attempt have neither a dead letter nor a current record.
    let settings = [("AMQP_URL", pair.place().amqp_url.as_str())];
    let redrive = ["dead", "redrive", "--all"];
    let redrive = Command::start(ProgramName::Consumer, &redrive, &settings).await;
    redrive.finish().await.printed();
    let (status, printed) = reconcile(&pair, None, &[]).await;
    assert_eq!(
        (status, total(&printed)),
        (Some(0), [4, 0, 2, 8]),
        "{printed}"
    );
    let text = run(&pair, &GRACE).await;
    assert!(
        text.printed()
            .contains("\n14 = 4 delivered + 0 failed + 2 retrying + 8 queued\n")
    );
    assert!(
        text.stdout.ends_with("all deliveries are accounted for\n"),
        "{}",
        text.stdout
    );
    // The inspected messages are delivered afterwards.
    pair.add_consumer().await;
    for id in &ids[9..] {
        let delivered = |record: &Document| record.get_str("status").ok() == Some("success");
        pair.wait_record(id, AT_LAST, delivered).await;
    }
}

async fn in_lanes(test: Test) {
    let receiver = Receiver::answering(by_name).await;
    let pair = test.pair(receiver, &[("WEBHOOK_LANES", "3")]).await;
    let mut ids = settled(&pair, "call", 1, "success").await;
    stop_consumer(&pair).await;
    for key in 0..24 {
        let key = key.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("x-webhook-key", key.as_str()),
        ];
        let posted = pair.post_with(&headers, r#"{"event":"call"}"#).await;
        ids.push(posted.accepted_id());
    }
    for accepted in [None, Some(ids.as_slice())] {
        let (status, printed) = reconcile(&pair, accepted, &[]).await;
        assert_eq!(
            (status, total(&printed)),
            (Some(0), [1, 0, 0, 24]),
            "{printed}"
        );
    }
    let purged = purge(&pair, "wahook.deliver.3.1.default").await;
    assert!(purged > 0);
    let (status, printed) = reconcile(&pair, Some(&ids), &[]).await;
    assert_eq!(status, Some(1));
    let findings = findings(&printed);
    assert_eq!(findings.len(), purged as usize, "{printed}");
    assert!(
        findings.iter().all(|(kind, _)| *kind == "lost"),
        "{printed}"
    );
}

async fn paused(test: Test) {
    let receiver = Receiver::answering(|_| Answer::status(500)).await;
    // Most events are at their first attempt when the endpoint is paused.
    let retries = [("WEBHOOK_RETRY_DELAY", "2000")];
    let pair = test.pair(receiver, &retries).await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        ids.push(pair.post(&json!({"event": "ready"})).await.accepted_id());
    }
    let consumer = pair.take_consumer();
    // The next probe is due after more time than the grace period.
    let probed = |metrics: &Metrics| metrics.sum("wahook_probes_total") > 0.0;
    consumer.wait_metrics("a probe", AT_LAST, probed).await;
    let (status, printed) = reconcile(&pair, Some(&ids), &[]).await;
    assert_eq!(status, Some(0), "{printed}");
    assert_eq!(total(&printed).iter().sum::<u64>(), 40, "{printed}");
}

async fn under_load(test: Test) {
    let count = AtomicU64::new(0);
    let receiver = Receiver::answering(move |_| {
        let every_fifth = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(5);
        Answer::status(if every_fifth { 500 } else { 200 })
    })
    .await;
    let pair = test.pair(receiver, &ONE_QUICK_RETRY).await;
    let load = Load::start(&pair.producer, 4, Duration::from_millis(10), u64::MAX);
    for _ in 0..4 {
        let more = load.accepted() + 200;
        wahook_tests::eventually::eventually(AT_LAST, "more load", || async {
            (load.accepted() >= more).then_some(())
        })
        .await;
        let (status, printed) = reconcile(&pair, None, &["--grace", "20s"]).await;
        assert_eq!(status, Some(0), "{printed}");
        assert!(total(&printed)[0] >= 100, "{printed}");
    }
    let ids: Vec<_> = load.stop().await.into_iter().collect();
    // Some events are still pending.
    let (status, printed) = reconcile(&pair, Some(&ids), &["--grace", "20s"]).await;
    assert_eq!(status, Some(0), "{printed}");
    assert_eq!(total(&printed).iter().sum::<u64>(), ids.len() as u64);
    assert!(total(&printed)[1] > 0, "some failed twice: {printed}");
}

async fn deleted_record(test: Test) {
    let pair = pair(&test).await;
    let delivered = settled(&pair, "call", 2, "success").await;
    let failed = settled(&pair, "ready", 2, "failed").await;
    let (gone, dead) = (delivered[0].as_str(), failed[0].as_str());
    let keys = [gone, dead].map(|id| format!("{id}/default"));
    let query = doc! { "_id": { "$in": keys.to_vec() } };
    pair.log().delete_many(query).await.unwrap();
    let (status, printed) = reconcile(&pair, None, &[]).await;
    assert_eq!(status, Some(1));
    assert_eq!(
        findings(&printed),
        BTreeSet::from([("record-missing", dead)])
    );
    // The broker has nothing of a delivered event: the loss shows only with its id.
    let all = [delivered.clone(), failed.clone()].concat();
    let (status, printed) = reconcile(&pair, Some(&all), &[]).await;
    assert_eq!(status, Some(1));
    let expected = BTreeSet::from([("lost", gone), ("record-missing", dead)]);
    assert_eq!(findings(&printed), expected);
    assert_eq!(total(&printed), [1, 1, 0, 0]);
    let text = run(&pair, &GRACE).await;
    assert!(
        text.stdout
            .contains(&format!("record-missing  {dead}/default"))
    );
    // A consumer may hold a message for more than two seconds.
    assert!(text.stdout.contains("for 255s, longer than --grace"));
    assert!(
        text.stdout.ends_with("1 not accounted for\n"),
        "{}",
        text.stdout
    );
}

async fn removed_dead_letter(test: Test) {
    let pair = pair(&test).await;
    let ids = settled(&pair, "ready", 3, "failed").await;
    let (connection, channel) = channel(&pair).await;
    let options = BasicGetOptions { no_ack: true };
    let dead_letter = channel.basic_get("wahook.dead".into(), options).await;
    let dead_letter = dead_letter.unwrap().unwrap().delivery;
    let gone = dead_letter
        .properties
        .message_id()
        .as_ref()
        .unwrap()
        .as_str();
    connection.close(200, "done".into()).await.unwrap();
    for of in [None, Some(ids.as_slice())] {
        let (status, printed) = reconcile(&pair, of, &[]).await;
        assert_eq!(status, Some(1));
        assert_eq!(
            findings(&printed),
            BTreeSet::from([("letter-missing", gone)])
        );
        assert_eq!(total(&printed), [0, 2, 0, 0]);
    }
    let (status, printed) = reconcile(&pair, None, &["--discarded"]).await;
    assert_eq!((status, total(&printed)), (Some(0), [0, 3, 0, 0]));
}

async fn purge(pair: &Pair, queue: &str) -> u32 {
    let (connection, channel) = channel(pair).await;
    let purged = channel.queue_purge(queue.into(), QueuePurgeOptions::default());
    let purged = purged.await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
    purged
}

async fn removed_message(test: Test) {
    let pair = pair(&test).await;
    stop_consumer(&pair).await;
    let gone = pair.post(&json!({"event": "call"})).await.accepted_id();
    assert_eq!(purge(&pair, "wahook.deliver.default").await, 1);
    let there = pair.post(&json!({"event": "call"})).await.accepted_id();
    let (status, printed) = reconcile(&pair, Some(&[gone.clone(), there]), &[]).await;
    assert_eq!(status, Some(1));
    assert_eq!(
        findings(&printed),
        BTreeSet::from([("lost", gone.as_str())])
    );
    assert_eq!(total(&printed), [0, 0, 0, 1]);
}

async fn removed_retry(test: Test) {
    let receiver = Receiver::answering(by_name).await;
    let settings = [("WEBHOOK_RETRY_SCHEDULE", "15s,5m")];
    let pair = test.pair(receiver, &settings).await;
    let long = settled(&pair, "qr", 2, "retrying").await;
    for id in &long {
        let is_retried = |record: &Document| record.get_i32("retryCount").ok() == Some(1);
        pair.wait_record(id, AT_LAST, is_retried).await;
    }
    assert_eq!(purge(&pair, "wahook.wait.300000").await, 2);
    let (status, printed) = reconcile(&pair, None, &[]).await;
    assert_eq!(status, Some(1));
    let expected = long.iter().map(|id| ("wait-short", id.as_str()));
    assert_eq!(findings(&printed), expected.collect());

    let short = settled(&pair, "qr", 1, "retrying").await;
    assert_eq!(purge(&pair, "wahook.wait.15000").await, 1);
    let (status, printed) = reconcile(&pair, Some(&short), &["--grace", "15s"]).await;
    assert_eq!(status, Some(1));
    let expected = BTreeSet::from([("retry-missing", short[0].as_str())]);
    assert_eq!(findings(&printed), expected);
}

async fn never_accepted(test: Test) {
    let pair = pair(&test).await;
    let mut ids = settled(&pair, "call", 1, "success").await;
    ids.push("never-accepted".to_owned());
    let (status, printed) = reconcile(&pair, Some(&ids), &[]).await;
    assert_eq!(status, Some(1));
    assert_eq!(
        findings(&printed),
        BTreeSet::from([("lost", "never-accepted")])
    );
    assert_eq!(
        (&printed["adds_up"], &printed["accepted"]),
        (&json!(false), &json!(2))
    );
    let (status, printed) = reconcile(&pair, Some(&ids[..1]), &["--endpoint", "crm"]).await;
    assert_eq!(status, Some(2), "an endpoint without a queue: {printed}");
    assert_eq!(printed["adds_up"], Value::Null);
}

async fn held(test: Test) {
    let answers = Arc::new(AtomicBool::new(false));
    let is_answering = Arc::clone(&answers);
    let receiver = Receiver::answering(move |_| match is_answering.load(Ordering::Relaxed) {
        false => Answer::silence(),
        true => Answer::status(200),
    })
    .await;
    let settings = [
        ("WEBHOOK_CONCURRENCY", "1"),
        ("WEBHOOK_TIMEOUT", "5000"),
        ("WEBHOOK_RETRY_ATTEMPTS", "1"),
        ("WEBHOOK_RETRY_DELAY", "100"),
    ];
    let pair = test.pair(receiver, &settings).await;
    let mut ids = Vec::new();
    for _ in 0..24 {
        ids.push(pair.post(&json!({"event": "call"})).await.accepted_id());
    }
    pair.receiver.wait_for(1, AT_LAST).await;
    // One event is in flight. The first subscription holds up to six, the one that replaces
    // it eight more; the rest wait in the queue.
    let (status, printed) = reconcile(&pair, Some(&ids), &["--grace", "1s"]).await;
    assert_eq!(status, Some(2), "{printed}");
    assert_eq!(printed["findings"], json!([]));
    assert!(
        !printed["untold"].as_array().unwrap().is_empty(),
        "{printed}"
    );
    answers.store(true, Ordering::Relaxed);
    let (status, printed) = reconcile(&pair, Some(&ids), &["--grace", "20s"]).await;
    assert_eq!(
        (status, total(&printed)),
        (Some(0), [24, 0, 0, 0]),
        "{printed}"
    );
}

/// A work queue dead-letters a message after 100 deliveries.
async fn often(test: Test) {
    let pair = pair(&test).await;
    stop_consumer(&pair).await;
    let id = pair.post(&json!({"event": "call"})).await.accepted_id();
    let (connection, channel) = channel(&pair).await;
    let return_counted = async || {
        let options = BasicGetOptions { no_ack: false };
        let message = channel.basic_get("wahook.deliver.default".into(), options);
        let message = message.await.unwrap().unwrap();
        // RabbitMQ 4.3 does not count a nack.
        let options = lapin::options::BasicRejectOptions { requeue: true };
        message.reject(options).await.unwrap();
    };
    for _ in 0..49 {
        return_counted().await;
    }
    let ids = [id];
    let (status, _) = reconcile(&pair, Some(&ids), &["--grace", "5s"]).await;
    assert_eq!(status, Some(0), "delivered 49 times before");
    return_counted().await;
    connection.close(200, "done".into()).await.unwrap();
    for _ in 0..3 {
        let (status, printed) = reconcile(&pair, Some(&ids), &["--grace", "200ms"]).await;
        assert_eq!((status, &printed["findings"]), (Some(2), &json!([])));
    }
    pair.add_consumer().await;
    let delivered = |record: &Document| record.get_str("status").ok() == Some("success");
    pair.wait_record(&ids[0], AT_LAST, delivered).await;
}

async fn waiting_results(test: Test) {
    let pair = pair(&test).await;
    let ids = settled(&pair, "call", 1, "success").await;
    stop_consumer(&pair).await;
    // The state that a consumer without its log leaves behind.
    pair.log().delete_many(doc! {}).await.unwrap();
    let (connection, channel) = channel(&pair).await;
    let result = json!({
        "event_id": ids[0], "endpoint": "default", "event": "call", "accepted_at": 1,
        "queued_at": 1, "number": 1, "started_at": 2, "duration_ms": 3, "status_code": 200,
        "error": null, "next_attempt_at": null, "webhook_url": "http://127.0.0.1/",
    });
    let mut headers = lapin::types::FieldTable::default();
    let text = lapin::types::AMQPValue::LongString(result.to_string().into());
    headers.insert("x-result".into(), text);
    let version = lapin::types::AMQPValue::LongLongInt(1);
    headers.insert("x-wahook-version".into(), version);
    let properties = lapin::BasicProperties::default()
        .with_message_id(ids[0].as_str().into())
        .with_headers(headers);
    let body = br#"{"event":"call","data":{},"timestamp":1}"#;
    let options = lapin::options::BasicPublishOptions::default();
    let publish = channel.basic_publish(
        "".into(),
        "wahook.results".into(),
        options,
        body,
        properties,
    );
    publish.await.unwrap().await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
    let (status, printed) = reconcile(&pair, Some(&ids), &[]).await;
    assert_eq!(
        (status, total(&printed)),
        (Some(0), [1, 0, 0, 0]),
        "{printed}"
    );
}

async fn incomplete(test: Test) {
    let pair = pair(&test).await;
    let place = pair.place();
    let (broker, log) = (place.amqp_url.as_str(), place.mongodb_uri.as_str());
    let start = |arguments: Vec<&'static str>, settings: Vec<(&'static str, String)>| async move {
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let arguments = [vec!["reconcile"], arguments].concat();
        let command = Command::start(ProgramName::Consumer, &arguments, &settings).await;
        command.finish().await
    };
    let both = |broker: &str, log: &str| {
        vec![
            ("AMQP_URL", broker.to_owned()),
            ("MONGODB_URI", log.to_owned()),
        ]
    };
    for (arguments, settings, expected) in [
        (vec![], vec![], "MONGODB_URI"),
        (vec![], both(broker, "localhost"), "MONGODB_URI"),
        (vec!["--since", "soon"], both(broker, log), "--since"),
        (
            vec!["--since", "1h", "--accepted", "-"],
            both(broker, log),
            "--accepted",
        ),
        (
            vec!["--since", "1h", "--until", "2h"],
            both(broker, log),
            "--until",
        ),
        (
            vec!["--accepted", "no-such-file"],
            both(broker, log),
            "no-such-file",
        ),
        (
            vec![],
            both("amqp://127.0.0.1:1", log),
            "reconciliation incomplete",
        ),
        (
            vec![],
            both(broker, "mongodb://127.0.0.1:1"),
            "reconciliation incomplete",
        ),
    ] {
        let ran = start(arguments.clone(), settings).await;
        assert_eq!(ran.status.code(), Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(expected),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
}
