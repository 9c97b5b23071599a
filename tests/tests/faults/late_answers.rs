//! Steps that the broker gets to only after they were given up.

use std::time::Duration;

use tokio::time::timeout;
use wahook_domain::{
    AttemptNumber, CanonicalBody, EndpointName, EventId, EventName, EventPattern, QueuedEvent,
    UnixMillis,
};
use wahook_queue::{
    Broker, BrokerUri, ConnectError, ConsumerConnection, Outgoing, Publisher, Topology, topology,
};
use wahook_tests::pair::Servers;
use wahook_tests::tcp_proxy::{Network, TcpProxy};

const SOON: Duration = Duration::from_secs(10);
const PREFETCH: u16 = 100;
/// Each way. A channel is opened in less than the ten seconds that a step may take, and two
/// steps on it take more.
const LATE: Duration = Duration::from_secs(3);

/// A subscription that came to stand after all would be handed every second message, for
/// nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_was_given_up_keeps_no_message_from_the_next() {
    let servers = Servers::start().await;
    let network = TcpProxy::to(servers.rabbitmq.port()).await;
    // Heartbeats would hold up what is late already.
    let uri = format!(
        "amqp://guest:guest@127.0.0.1:{}/%2f?heartbeat=0",
        network.port()
    );
    let uri: BrokerUri = uri.parse().unwrap();
    let name = EndpointName::default();
    let patterns: Vec<EventPattern> = vec!["*".parse().unwrap()];
    let deliveries = Topology::deliveries([(&name, patterns.as_slice())], &[]);
    let intake = ConsumerConnection::connect(&Broker::from(uri), "late", &deliveries)
        .await
        .unwrap();
    let queue = topology::work_queue(&name);

    network.set(Network::Slow(LATE));
    let given_up = intake.subscribe(&queue, PREFETCH).await;
    assert!(matches!(given_up, Err(ConnectError::NoSubscription { .. })));
    network.set(Network::Works);
    // What was sent before arrives before.
    let mut subscription = intake.subscribe(&queue, PREFETCH).await.unwrap();

    let direct: BrokerUri = servers.rabbitmq.amqp_url().parse().unwrap();
    let (publisher, _task) = Publisher::start(direct, "late", Topology::events(), SOON);
    for n in 0..20 {
        let outgoing = Outgoing::put_back(&event(n), &name);
        publisher.publish_until_confirmed(&outgoing).await;
    }
    for n in 0..20 {
        let received = timeout(SOON, subscription.next()).await;
        let received = received
            .unwrap_or_else(|_| panic!("{n} of 20 came"))
            .unwrap();
        received.receipt.ack().await.unwrap();
    }
    intake.close().await;
}

fn event(n: u32) -> QueuedEvent {
    let body = format!(r#"{{"event":"call","data":{{"n":{n}}},"timestamp":1}}"#);
    QueuedEvent {
        id: EventId::parse(&format!("late-{n}")).unwrap(),
        name: EventName::parse("call").unwrap(),
        body: CanonicalBody::check(body.into_bytes().into()).unwrap(),
        attempt: AttemptNumber::FIRST,
        accepted_at: UnixMillis::new(1),
        redriven_at: None,
        traceparent: None,
    }
}
