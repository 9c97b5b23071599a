//! Bindings and queues of lanes that the broker has lost while the consumer was not connected.

use std::collections::{BTreeMap, BTreeSet};

use lapin::options::QueueDeleteOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use wahook_tests::chats::Chats;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::receiver::Receiver;
use wahook_tests::tcp_proxy::{Network, TcpProxy};
use wahook_tests::world::{Test, Tests};

const SETTINGS: [(&str, &str); 2] = [("WEBHOOK_ORDER", "chat"), ("WEBHOOK_LANES", "3")];
const LANE: &str = "wahook.lane.3.1.default";
const CHATS: Chats = Chats {
    chats: 30,
    each: 4,
    senders: 12,
};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "bindings_that_were_removed_are_declared_again_after_a_reconnect",
        async |test| lost(test, false).await,
    );
    tests.add(
        "queue_that_was_removed_is_declared_again_with_its_bindings_after_a_reconnect",
        async |test| lost(test, true).await,
    );
}

/// Columns of a binding by their names.
type Binding = BTreeMap<String, String>;

async fn bindings(test: &Test) -> BTreeSet<Binding> {
    let columns = ["source_name", "destination_name", "routing_key"];
    let listed = test.list("list_bindings", &columns).await;
    serde_json::from_str(&listed).unwrap()
}

async fn remove(channel: &Channel, binding: &Binding) {
    let removed = channel.queue_unbind(
        binding["destination_name"].as_str().into(),
        binding["source_name"].as_str().into(),
        binding["routing_key"].as_str().into(),
        FieldTable::default(),
    );
    removed.await.unwrap();
}

async fn lost(test: Test, with_queue: bool) {
    let pair = test.pair(Receiver::start().await, &SETTINGS).await;
    let (network, proxied) = TcpProxy::to_server_of(&pair.place().amqp_url).await;
    pair.take_consumer().kill9().await;
    pair.add_consumer_with(&[("AMQP_URL", &proxied)]).await;
    let all = bindings(&test).await;
    let of_lane = |binding: &&Binding| {
        binding["destination_name"] == LANE && !binding["source_name"].is_empty()
    };
    let of_lane: Vec<_> = all.iter().filter(of_lane).collect();
    assert!(of_lane.len() > 100, "{} bindings", of_lane.len());

    network.set(Network::Reset);
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&pair.place().amqp_url, properties).await;
    let connection = connection.unwrap();
    let channel = connection.create_channel().await.unwrap();
    if with_queue {
        let delete = channel.queue_delete(LANE.into(), QueueDeleteOptions::default());
        delete.await.unwrap();
    } else {
        for binding in &of_lane {
            remove(&channel, binding).await;
        }
    }
    connection.close(200, "removed".into()).await.unwrap();
    assert!(bindings(&test).await.len() <= all.len() - of_lane.len());

    network.set(Network::Works);
    eventually(AT_LAST, "all bindings", || async {
        (bindings(&test).await == all).then_some(())
    })
    .await;
    CHATS.post(&pair.producer.base_url()).await;
    eventually(AT_LAST, "all events", || async {
        let found = CHATS.order(&pair.receiver.posts(), |_| false);
        (found.missing == 0).then_some(())
    })
    .await;
    let found = CHATS.order(&pair.receiver.posts(), |_| false);
    assert!(found.is_kept(), "{found}");
}
