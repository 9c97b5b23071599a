//! Tests of the harness's cluster, and of the facts about quorum queues that its users build on.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::time::timeout;
use wahook_tests::cluster::Cluster;
use wahook_tests::eventually::{AT_LAST, eventually};

const SILENT: Duration = Duration::from_secs(5);
const QUEUE: &str = "parted";

async fn channel(cluster: &Cluster, node: usize) -> (Connection, Channel) {
    let url = cluster.nodes()[node].amqp_url();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await;
    let connection = connection.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    confirms.await.unwrap();
    (connection, channel)
}

async fn declare(channel: &Channel) {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    let quorum = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), quorum);
    let declared = channel.queue_declare(QUEUE.into(), options, arguments);
    declared.await.unwrap();
}

/// Returns true if the broker confirms a message within the time.
async fn is_confirmed(channel: &Channel, body: &[u8], within: Duration) -> bool {
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_delivery_mode(2);
    let publish = async {
        let sent = channel.basic_publish("".into(), QUEUE.into(), options, body, properties);
        sent.await.unwrap().await.unwrap().is_ack()
    };
    timeout(within, publish).await.unwrap_or(false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_confirms_nothing_until_it_is_healed() {
    let cluster = Cluster::start().await;
    let (_first, on_first) = channel(&cluster, 0).await;
    declare(&on_first).await;
    assert!(is_confirmed(&on_first, b"before", AT_LAST).await);
    cluster.wait_whole().await.unwrap();
    let leader = cluster.leaders("/").await.unwrap()[QUEUE];

    cluster.cut_off(leader).await.unwrap();
    let (_alone, alone) = channel(&cluster, leader).await;
    assert!(!is_confirmed(&alone, b"alone", SILENT).await);
    let (_others, others) = channel(&cluster, (leader + 1) % 3).await;
    eventually(AT_LAST, "a confirm by the majority", || async {
        is_confirmed(&others, b"majority", SILENT)
            .await
            .then_some(())
    })
    .await;

    cluster.heal(leader).await.unwrap();
    let (_healed, healed) = channel(&cluster, leader).await;
    assert!(is_confirmed(&healed, b"after", AT_LAST).await);
    let mut bodies = Vec::new();
    let get = || healed.basic_get(QUEUE.into(), BasicGetOptions { no_ack: true });
    while let Some(message) = get().await.unwrap() {
        bodies.push(message.delivery.data.to_vec());
    }
    for body in [&b"before"[..], b"majority", b"after"] {
        assert!(bodies.iter().any(|found| found == body), "{bodies:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_without_a_majority_works_again_after_a_restart() {
    let cluster = Cluster::start().await;
    let (_last, on_last) = channel(&cluster, 2).await;
    declare(&on_last).await;
    assert!(is_confirmed(&on_last, b"before", AT_LAST).await);
    cluster.wait_whole().await.unwrap();
    let (one, two) = (&cluster.nodes()[0], &cluster.nodes()[1]);
    tokio::join!(one.kill9(), two.kill9());
    assert!(!is_confirmed(&on_last, b"alone", SILENT).await);
    tokio::join!(one.restart(), two.restart());
    cluster.wait_whole().await.unwrap();
    let (_one, on_one) = channel(&cluster, 0).await;
    assert!(is_confirmed(&on_one, b"after", AT_LAST).await);
}
