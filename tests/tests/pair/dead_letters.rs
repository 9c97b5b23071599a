//! What ends in `wahook.dead`, and that nothing is stuck behind it.

use std::time::Duration;

use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::json;
use wahook_tests::eventually::eventually;
use wahook_tests::pair::Pair;
use wahook_tests::receiver::{Answer, Receiver};

use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "an_exhausted_delivery_ends_in_the_dead_letter_queue",
        exhausted,
    );
    tests.add(
        "a_poison_message_is_parked_unchanged_within_a_second",
        poison,
    );
}

pub(crate) async fn channel(pair: &Pair) -> (Connection, Channel) {
    let url = &pair.place().amqp_url;
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    (connection, channel)
}

/// Takes one message out of the dead letters.
async fn dead_letter(channel: &Channel, deadline: Duration) -> lapin::message::Delivery {
    let options = BasicGetOptions { no_ack: true };
    let get = || async {
        channel
            .basic_get("wahook.dead".into(), options)
            .await
            .unwrap()
    };
    eventually(deadline, "a dead letter", get).await.delivery
}

async fn exhausted(test: Test) {
    let settings = [("WEBHOOK_RETRY_DELAY", "200")];
    let pair = test
        .pair(
            Receiver::answering(|_| Answer::status(500)).await,
            &settings,
        )
        .await;
    let id = pair
        .post(&json!({"event": "call", "data": {"id": "c1"}}))
        .await
        .accepted_id();
    let is_failed = |r: &mongodb::bson::Document| r.get_str("status").ok() == Some("failed");
    let record = pair
        .wait_record(&id, Duration::from_secs(10), is_failed)
        .await;
    assert_eq!(record.get_i32("retryCount").ok(), Some(3));
    assert_eq!(record.get_str("errorMessage").ok(), Some("answered 500"));
    assert_eq!(
        record.get("nextAttemptAt"),
        Some(&mongodb::bson::Bson::Null)
    );
    let posts = pair.receiver.posts();
    assert_eq!(posts.len(), 4);

    let (connection, channel) = channel(&pair).await;
    let dead = dead_letter(&channel, Duration::from_secs(2)).await;
    assert_eq!(dead.data, posts[0].body);
    let dead_id = dead.properties.message_id().as_ref().unwrap();
    assert_eq!(dead_id.as_str(), id);
    let headers = dead.properties.headers().as_ref().unwrap().inner();
    assert_eq!(headers["x-attempt"], AMQPValue::LongLongInt(4));
    assert_eq!(
        headers["x-endpoint"],
        AMQPValue::LongString("default".into())
    );
    connection.close(200, "done".into()).await.unwrap();
}

async fn poison(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let (connection, channel) = channel(&pair).await;
    let mut other_version = FieldTable::default();
    other_version.insert("x-wahook-version".into(), AMQPValue::LongLongInt(99));
    let poisons = [
        (
            vec![0xff, 0x00, 0xfe],
            BasicProperties::default().with_message_id("random".into()),
        ),
        (
            b"{}".to_vec(),
            BasicProperties::default().with_headers(other_version),
        ),
        (
            b"{\"event\":\"test\",\"data\":{},\"timestamp\":\"t\"}".to_vec(),
            BasicProperties::default(),
        ),
    ];
    for (payload, properties) in poisons {
        pair.post(&json!({"event": "test"})).await.accepted_id();
        let queue = "wahook.deliver.default".into();
        let options = BasicPublishOptions::default();
        let confirm =
            channel.basic_publish("".into(), queue, options, &payload, properties.clone());
        confirm.await.unwrap().await.unwrap();
        let dead = dead_letter(&channel, Duration::from_secs(1)).await;
        assert_eq!(dead.data, payload);
        assert_eq!(dead.properties.message_id(), properties.message_id());
    }
    pair.post(&json!({"event": "test"})).await.accepted_id();
    pair.receiver.wait_for(4, Duration::from_secs(5)).await;
    let consumer = pair.take_consumer();
    assert_eq!(
        consumer.metrics().await.sum("wahook_poison_messages_total"),
        3.0
    );
    connection.close(200, "done".into()).await.unwrap();
}
