//! Returns of a message that RabbitMQ counts towards the delivery limit.

use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicGetOptions, BasicNackOptions, BasicPublishOptions, BasicRejectOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use std::cell::Cell;
use wahook_queue::{BrokerUri, Inspector};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::rabbitmq::{self, RabbitMq};

const QUEUE: &str = "counted";
const LOOKS: i64 = 3;

/// Counts of a message: deliveries and, since RabbitMQ 4.3, acquisitions.
type Counts = (Option<i64>, Option<i64>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_and_nacks_count_as_deliveries_before_rabbitmq_4_3_only_and_rejects_always() {
    let broker = RabbitMq::start().await;
    let (connection, channel) = with_one_message(&broker).await;
    let uri: BrokerUri = broker.amqp_url().parse().unwrap();
    let inspector = Inspector::open(&uri, "looks").await.unwrap();
    // A look that is late can have taken the message as well.
    let opened = Cell::new(0);
    for _ in 0..LOOKS {
        // The message of the look before may not be back yet.
        let mut look = eventually(AT_LAST, "the message", || async {
            let mut look = inspector.look(QUEUE).await.unwrap();
            opened.set(opened.get() + 1);
            look.next().await.unwrap().map(|seen| {
                drop(seen);
                look
            })
        })
        .await;
        assert!(look.next().await.unwrap().is_none());
        look.requeue().await;
    }
    inspector.close().await;
    let is_new = rabbitmq::is_of_clusters();
    let expected = |counted: i64, returned: i64| match is_new {
        true => (Some(counted).filter(|count| *count > 0), Some(returned)),
        false => (Some(returned), None),
    };

    let message = get(&channel).await;
    let (deliveries, acquisitions) = counts(&message);
    let looks = if is_new { acquisitions } else { deliveries };
    let looks = looks.unwrap_or_default();
    assert!((LOOKS..=opened.get()).contains(&looks), "{looks} looks");
    assert_eq!(counts(&message), expected(0, looks), "after the looks");
    let nack = BasicNackOptions {
        requeue: true,
        ..BasicNackOptions::default()
    };
    message.nack(nack).await.unwrap();
    let message = get(&channel).await;
    assert_eq!(counts(&message), expected(0, looks + 1), "after a nack");
    let reject = BasicRejectOptions { requeue: true };
    message.reject(reject).await.unwrap();
    let message = get(&channel).await;
    assert_eq!(counts(&message), expected(1, looks + 2), "after a reject");
    channel.close(200, "done".into()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let message = get(&channel).await;
    assert_eq!(counts(&message), expected(2, looks + 3), "after a close");
}

async fn with_one_message(broker: &RabbitMq) -> (Connection, Channel) {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&broker.amqp_url(), properties).await;
    let connection = connection.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    let quorum = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), quorum);
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(100));
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(QUEUE.into(), options, arguments);
    declared.await.unwrap();
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    confirms.await.unwrap();
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent = channel.basic_publish("".into(), QUEUE.into(), options, b"counted", properties);
    assert!(sent.await.unwrap().await.unwrap().is_ack());
    (connection, channel)
}

/// Takes the message, as soon as it is back.
async fn get(channel: &Channel) -> BasicGetMessage {
    eventually(AT_LAST, "the message", || async {
        let options = BasicGetOptions { no_ack: false };
        channel.basic_get(QUEUE.into(), options).await.unwrap()
    })
    .await
}

fn counts(message: &BasicGetMessage) -> Counts {
    let headers = message.properties.headers().as_ref();
    let count = |name: &str| match headers?.inner().get(name)? {
        AMQPValue::LongLongInt(count) => Some(*count),
        other => panic!("{name} is {other:?}"),
    };
    (count("x-delivery-count"), count("x-acquired-count"))
}
