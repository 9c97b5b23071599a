//! Subscriptions that the broker has lost while the consumer holds them.

use serde_json::json;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::{Pair, Servers};
use wahook_tests::receiver::Receiver;

/// Reports to the queue that its consumers have ended. The channel and the consumer program
/// still hold the subscription.
const FORGET: &str = "Queue = {'%2F_wahook.deliver.default', node()}, \
    {ok, {_, Consumers}, _} = ra:local_query(Queue, fun rabbit_fifo:query_consumers/1), \
    [{ok, ok, _} = ra:process_command(Queue, {down, Channel, noproc}) \
     || {_, Channel} <- maps:keys(Consumers)].";
/// Reports to the queue that the node of its consumers is unreachable. The first time the queue
/// detects at once that the node is there; from the second time on it suspends the consumers
/// permanently.
const SUSPEND: &str = "Queue = {'%2F_wahook.deliver.default', node()}, \
    [{ok, ok, _} = ra:process_command(Queue, {down, self(), noconnection}) || _ <- [1, 2]].";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_resubscribes_after_the_broker_forgot_its_subscription() {
    assert_resubscribes_after(FORGET).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_resubscribes_after_the_broker_suspended_its_subscription() {
    assert_resubscribes_after(SUSPEND).await;
}

async fn assert_resubscribes_after(fault: &str) {
    let servers = Servers::start().await;
    let pair = servers.pair(Receiver::start().await, &[]).await;
    deliver(&pair).await;
    servers.rabbitmq.ctl(&["eval", fault]).await.unwrap();
    deliver(&pair).await;
    // The connection, and with it the subscriptions of other endpoints, is kept.
    let metrics = pair.take_consumer().metrics().await;
    assert_eq!(metrics.sum("wahook_reconnects_total"), 0.0);
}

async fn deliver(pair: &Pair) {
    let id = pair.post(&json!({"event": "call"})).await.accepted_id();
    pair.wait_record(&id, AT_LAST, |record| {
        record.get_str("status").ok() == Some("success")
    })
    .await;
}
