//! Deliveries that are unacked for longer than the broker's consumer timeout. RabbitMQ 3.10
//! closes the channel, RabbitMQ 4.3 cancels the subscription.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use serde_json::json;
use tokio::time::sleep;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::mongod::Mongod;
use wahook_tests::pair::Servers;
use wahook_tests::program::Program;
use wahook_tests::rabbitmq::{BrokerOptions, RabbitMq};
use wahook_tests::receiver::{Answer, Receiver};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Time for an answer to a first event: its message is returned in between.
const SLOWER: Duration = Duration::from_secs(25);
const DATABASE: &str = "timeouts";

/// Starts servers with a short consumer timeout.
async fn servers() -> Servers {
    let options = BrokerOptions {
        consumer_timeout: Some(TIMEOUT),
        ..BrokerOptions::default()
    };
    let (rabbitmq, mongod) = tokio::join!(RabbitMq::start_with(options), Mongod::start());
    Servers { rabbitmq, mongod }
}

/// Starts a receiver whose answers to first events take longer than the consumer timeout.
async fn slow_at_first() -> Receiver {
    Receiver::answering(|post| {
        let is_first = post.event().is_some_and(|event| event.ends_with(".first"));
        let delay = if is_first { SLOWER } else { Duration::ZERO };
        Answer::status(200).after(delay)
    })
    .await
}

async fn post(producer: &Program, event: &str) -> String {
    let request = http_client()
        .unwrap()
        .post(format!("{}/v1/events", producer.base_url()))
        .header("content-type", "application/json")
        .body(json!({ "event": event }).to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

/// Waits until the log has the event as delivered to the endpoint.
async fn delivered(servers: &Servers, id: &str, endpoint: &str) {
    let log = servers.mongod.client().await.database(DATABASE);
    let log = log.collection::<Document>("webhooklogs");
    let record = doc! { "_id": format!("{id}/{endpoint}"), "status": "success" };
    eventually(AT_LAST, "the record of a delivery", || async {
        log.find_one(record.clone()).await.unwrap()
    })
    .await;
}

/// Returns messages and consumers by queue.
async fn queues(servers: &Servers) -> BTreeMap<String, (u64, u64)> {
    let columns = ["list_queues", "name", "messages", "consumers"];
    let listed = servers.rabbitmq.ctl(&columns).await.unwrap();
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        let name = columns.next()?.to_owned();
        let messages = columns.next()?.parse().ok()?;
        Some((name, (messages, columns.next()?.parse().ok()?)))
    };
    listed.lines().filter_map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_timeout_of_one_endpoint_disturbs_no_other_endpoint() {
    let servers = servers().await;
    let (slow, ordered) = (slow_at_first().await, slow_at_first().await);
    // At each moment some of its deliveries are in flight.
    let quick =
        Receiver::answering(|_| Answer::status(200).after(Duration::from_millis(300))).await;
    let folder = RunFolder::temporary("timeouts").unwrap();
    let file = folder.join("endpoints.toml");
    let endpoint = |name: &str, receiver: &Receiver, more: &str| {
        let url = receiver.url();
        format!(
            "[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nevents = [\"{name}.*\"]\n{more}\n"
        )
    };
    let endpoints = endpoint("slow", &slow, "")
        + &endpoint("ordered", &ordered, "order = \"chat\"\nlanes = 1")
        + &endpoint("quick", &quick, "");
    fs::write(&file, endpoints).unwrap();
    let amqp_url = servers.rabbitmq.amqp_url();
    let consumer = servers.consumer(&amqp_url, DATABASE, &file).await;
    let producer = Program::producer(&[("AMQP_URL", &amqp_url)]).await;
    producer.wait_ready(AT_LAST).await;

    let slow_first = post(&producer, "slow.first").await;
    let ordered_first = post(&producer, "ordered.first").await;
    let (mut quick_ids, start) = (Vec::new(), Instant::now());
    let has_ended = |text: &str| {
        let log = consumer.stderr_so_far();
        log.lines().any(|line| line.contains(text))
    };
    while !has_ended("subscription ended, resubscribing") || !has_ended("subscription ended lane=")
    {
        quick_ids.push(post(&producer, "quick.event").await);
        assert!(start.elapsed() < AT_LAST, "{}", consumer.stderr_so_far());
        sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..20 {
        quick_ids.push(post(&producer, "quick.event").await);
        sleep(Duration::from_millis(50)).await;
    }
    for id in &quick_ids {
        delivered(&servers, id, "quick").await;
    }
    delivered(&servers, &slow_first, "slow").await;
    delivered(&servers, &ordered_first, "ordered").await;
    // Both endpoints have a subscription again.
    let (slow_next, ordered_next) = (
        post(&producer, "slow.next").await,
        post(&producer, "ordered.next").await,
    );
    delivered(&servers, &slow_next, "slow").await;
    delivered(&servers, &ordered_next, "ordered").await;
    // The cancelled subscription is gone, so that the broker sends nothing to it.
    eventually(AT_LAST, "empty queues, one consumer each", || async {
        let queues = queues(&servers).await;
        let of = |name: &str| queues.get(name).copied();
        let all = ["deliver.slow", "deliver.quick", "lane.1.0.ordered"];
        all.iter()
            .all(|name| of(&format!("wahook.{name}")) == Some((0, 1)))
            .then_some(())
    })
    .await;

    assert_eq!(quick.count(), quick_ids.len(), "duplicates");
    let reconnects = consumer.metrics().await.sum("wahook_reconnects_total");
    assert_eq!(reconnects, 0.0, "{}", consumer.stderr_so_far());
}
