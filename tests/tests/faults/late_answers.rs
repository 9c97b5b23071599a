//! Broker operations that complete after the client gave up waiting.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use wahook_domain::{
    EndpointName, EventBody, EventId, EventName, EventPattern, QueuedEvent, UnixMillis,
};
use wahook_queue::{
    Broker, BrokerUri, ConnectError, ConsumerConnection, Outgoing, Publisher, Topology, topology,
};
use wahook_tests::amqp_wire::AmqpWire;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::Servers;
use wahook_tests::tcp_proxy::{Network, TcpProxy};

const PREFETCH: u16 = 100;
/// Delay in each direction. Opening a channel takes less than the limit of ten seconds, and two
/// operations on it take more.
const LATE: Duration = Duration::from_secs(3);

/// A late subscription would get every second message and never acknowledge it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_subscription_holds_no_messages() {
    let servers = Servers::start().await;
    let network = TcpProxy::to(servers.rabbitmq.port()).await;
    // Heartbeats would add to the delay.
    let uri = format!(
        "amqp://guest:guest@127.0.0.1:{}/%2f?heartbeat=0",
        network.port()
    );
    let uri: BrokerUri = uri.parse().unwrap();
    let name = EndpointName::default();
    let patterns: Vec<EventPattern> = vec!["*".parse().unwrap()];
    let deliveries = Topology::deliveries([(&name, patterns.as_slice(), None)], &[]);
    let connection = ConsumerConnection::connect(&Broker::from(uri), "late", &deliveries)
        .await
        .unwrap();
    let queue = topology::work_queue(&name);

    network.set(Network::Slow(LATE));
    let given_up = connection.subscribe(&queue, PREFETCH).await;
    assert!(matches!(given_up, Err(ConnectError::NoSubscription { .. })));
    network.set(Network::Works);
    // Frames sent earlier arrive earlier.
    let mut subscription = connection.subscribe(&queue, PREFETCH).await.unwrap();

    let direct: BrokerUri = servers.rabbitmq.amqp_url().parse().unwrap();
    let (publisher, _task) = Publisher::start(direct, "late", Topology::events(), AT_LAST);
    for n in 0..20 {
        let outgoing = Outgoing::republish(&event(n), &name);
        publisher.publish_until_confirmed(&outgoing).await;
    }
    for n in 0..20 {
        let received = timeout(AT_LAST, subscription.next()).await;
        let received = received
            .unwrap_or_else(|_| panic!("received only {n} of 20 messages"))
            .unwrap();
        received.receipt.ack().await.unwrap();
    }
    connection.close().await;
}

fn event(n: u32) -> QueuedEvent {
    let body = format!(r#"{{"event":"call","data":{{"n":{n}}},"timestamp":1}}"#);
    QueuedEvent::new(
        EventId::parse(&format!("late-{n}")).unwrap(),
        EventName::parse("call").unwrap(),
        EventBody::check(body.into_bytes().into()).unwrap(),
        UnixMillis::new(1),
    )
}

/// Each copy that is sent during a stall would be delivered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_sent_once_while_the_broker_stalls() {
    let servers = Servers::start().await;
    let url = servers.rabbitmq.amqp_url();
    let uri: BrokerUri = format!("{url}?heartbeat=0").parse().unwrap();
    let name = EndpointName::default();
    let patterns: Vec<EventPattern> = vec!["*".parse().unwrap()];
    let deliveries = Topology::deliveries([(&name, patterns.as_slice(), None)], &[]);
    let broker = Broker::from(uri.clone());
    let connected = ConsumerConnection::connect(&broker, "stall", &deliveries).await;
    connected.unwrap().close().await;

    let limit = Duration::from_millis(200);
    let (publisher, _task) = Publisher::start(uri, "stall", Topology::events(), limit);
    let first = Outgoing::republish(&event(0), &name);
    publisher.publish_until_confirmed(&first).await;
    servers.rabbitmq.freeze();
    let second = Outgoing::republish(&event(1), &name);
    let stalled = tokio::spawn(async move { publisher.publish_until_confirmed(&second).await });
    sleep(Duration::from_secs(5)).await;
    servers.rabbitmq.thaw();
    timeout(AT_LAST, stalled).await.unwrap().unwrap();
    let mut wire = AmqpWire::connect(&url).await.unwrap();
    assert_eq!(wire.depth(&topology::work_queue(&name)).await.unwrap(), 2);
}
