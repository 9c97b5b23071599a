//! Dead letters in `wahook.dead`.

use std::time::Duration;

use lapin::options::BasicGetOptions;
use lapin::types::AMQPValue;
use lapin::{Channel, Connection, ConnectionProperties};
use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::receiver::{Answer, Receiver};

use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("an_exhausted_delivery_is_dead_lettered", exhausted);
}

pub(crate) async fn channel(pair: &Pair) -> (Connection, Channel) {
    let url = &pair.place().amqp_url;
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// Removes and returns one dead letter.
pub(crate) async fn dead_letter(channel: &Channel, deadline: Duration) -> lapin::message::Delivery {
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
    let record = pair.wait_record(&id, AT_LAST, is_failed).await;
    assert_eq!(record.get_i32("retryCount").ok(), Some(3));
    assert_eq!(record.get_str("errorMessage").ok(), Some("answered 500"));
    assert_eq!(
        record.get("nextAttemptAt"),
        Some(&mongodb::bson::Bson::Null)
    );
    let posts = pair.receiver.posts();
    assert_eq!(posts.len(), 4);

    let (connection, channel) = channel(&pair).await;
    let dead = dead_letter(&channel, AT_LAST).await;
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
