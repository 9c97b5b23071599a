//! A broker that keeps messages from a consumer that it has subscribed.

use serde_json::json;
use wahook_tests::pair::{Pair, Servers};
use wahook_tests::receiver::Receiver;

use crate::IN_THE_END;

/// Makes the queue believe that whoever consumes from it has ended, while the channel and the
/// consumer behind it believe that they are subscribed.
const FORGET: &str = "Queue = {'%2F_wahook.deliver.default', node()}, \
    {ok, {_, Consumers}, _} = ra:local_query(Queue, fun rabbit_fifo:query_consumers/1), \
    [{ok, ok, _} = ra:process_command(Queue, {down, Channel, noproc}) \
     || {_, Channel} <- maps:keys(Consumers)].";
/// Makes the queue believe that the node of its consumers is out of reach. It is told at once
/// that the node is there, but only the first time: from the second time on they are suspended
/// for good.
const SUSPEND: &str = "Queue = {'%2F_wahook.deliver.default', node()}, \
    [{ok, ok, _} = ra:process_command(Queue, {down, self(), noconnection}) || _ <- [1, 2]].";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_the_broker_has_forgotten_is_begun_anew() {
    is_begun_anew_after(FORGET).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_the_broker_has_suspended_for_good_is_begun_anew() {
    is_begun_anew_after(SUSPEND).await;
}

async fn is_begun_anew_after(fault: &str) {
    let servers = Servers::start().await;
    let pair = servers.pair(Receiver::start().await, &[]).await;
    deliver(&pair).await;
    servers.rabbitmq.ctl(&["eval", fault]).await.unwrap();
    deliver(&pair).await;
    // Other endpoints, whose subscriptions are well, have not lost theirs.
    let metrics = pair.take_consumer().metrics().await;
    assert_eq!(metrics.sum("wahook_reconnects_total"), 0.0);
}

async fn deliver(pair: &Pair) {
    let id = pair.post(&json!({"event": "call"})).await.accepted_id();
    pair.wait_record(&id, IN_THE_END, |record| {
        record.get_str("status").ok() == Some("success")
    })
    .await;
}
