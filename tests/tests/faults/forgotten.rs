//! A broker that takes a subscription for another's, or for nobody's.

use serde_json::json;
use wahook_tests::pair::{Pair, Servers};
use wahook_tests::receiver::Receiver;

use crate::IN_THE_END;

/// Makes the queue believe that whoever consumes from it is gone, while the channel and the
/// consumer behind it believe that they are subscribed.
const FORGET: &str = "Queue = {'%2F_wahook.deliver.default', node()}, \
    {ok, {_, Consumers}, _} = ra:local_query(Queue, fun rabbit_fifo:query_consumers/1), \
    [ok = element(2, ra:process_command(Queue, {down, Channel, noproc})) \
     || {_, Channel} <- maps:keys(Consumers)], \
    maps:size(Consumers).";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_the_broker_has_forgotten_is_begun_anew() {
    let servers = Servers::start().await;
    let pair = servers.pair(Receiver::start().await, &[]).await;
    deliver(&pair).await;
    let forgotten = servers.rabbitmq.ctl(&["eval", FORGET]).await.unwrap();
    assert_eq!(forgotten.trim(), "1");
    deliver(&pair).await;
    let reconnects = pair.take_consumer().metrics().await;
    assert_eq!(reconnects.sum("wahook_reconnects_total"), 1.0);
}

async fn deliver(pair: &Pair) {
    let id = pair.post(&json!({"event": "call"})).await.accepted_id();
    pair.wait_record(&id, IN_THE_END, |record| {
        record.get_str("status").ok() == Some("success")
    })
    .await;
}
