//! Queue of one check, on either backend.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;
use wahook_domain::{
    AttemptNumber, EndpointName, EventBody, EventId, EventName, EventPattern, LaneCount, Lanes,
    OrderKey, Origin, Propagated, QueuedEvent, RetryRule, UnixMillis, WaitStep, canonical_body,
};
use wahook_embedded::Store;
use wahook_queue::{
    Broker, BrokerUri, ConsumerConnection, Outgoing, PublishError, Publisher, PublisherTask,
    Received, Subscription, Topology,
};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    RabbitMq,
    Sqlite,
}

pub(crate) fn kinds() -> [Kind; 2] {
    [Kind::RabbitMq, Kind::Sqlite]
}

pub(crate) struct Place {
    amqp_url: String,
    store: Option<Store>,
    folder: RunFolder,
    open: Option<(Publisher, PublisherTask)>,
}

impl Place {
    pub(crate) fn new(kind: Kind, servers: &wahook_tests::pair::Place) -> Self {
        let folder = RunFolder::temporary("conformance").unwrap();
        let store = (kind == Kind::Sqlite).then(|| Store::open(&folder.join("data.db")).unwrap());
        Self {
            amqp_url: servers.amqp_url.clone(),
            store,
            folder,
            open: None,
        }
    }

    pub(crate) fn broker(&self) -> Broker {
        match &self.store {
            Some(store) => store.broker(),
            None => self.amqp_url.parse::<BrokerUri>().unwrap().into(),
        }
    }

    /// Path of the data file.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data.db")
    }

    pub(crate) fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// Closes the publisher and reopens the store. The fault tests cover a killed broker.
    pub(crate) async fn restart(&mut self) {
        if let Some((publisher, task)) = self.open.take() {
            drop(publisher);
            task.close(AT_LAST).await;
        }
        if let Some(store) = self.store.take() {
            drop(store);
            self.store = Some(Store::open(&self.data()).unwrap());
        }
    }

    pub(crate) async fn publisher(&mut self) -> Publisher {
        if self.open.is_none() {
            let started =
                Publisher::start(self.broker(), "conformance", Topology::events(), AT_LAST);
            let mut link = started.0.link();
            timeout(AT_LAST, link.wait_for(|link| link.up))
                .await
                .unwrap()
                .unwrap();
            self.open = Some(started);
        }
        self.open.as_ref().unwrap().0.clone()
    }

    pub(crate) async fn publish(&mut self, message: Outgoing) -> Result<(), PublishError> {
        self.publisher().await.publish(message).await
    }

    pub(crate) async fn connect(&self, topology: &Topology) -> ConsumerConnection {
        let broker = self.broker();
        ConsumerConnection::connect(&broker, "conformance", topology)
            .await
            .unwrap()
    }
}

pub(crate) fn endpoint(name: &str) -> EndpointName {
    EndpointName::parse(name).unwrap()
}

/// Returns the delay of the first retry.
pub(crate) fn step(millis: u32) -> WaitStep {
    RetryRule::new(1, millis).unwrap().wait_steps()[0]
}

/// Builds a topology of endpoints with their patterns.
pub(crate) fn topology(endpoints: &[(&str, &[&str])]) -> Topology {
    let endpoints: Vec<(EndpointName, Vec<EventPattern>)> = endpoints
        .iter()
        .map(|(name, patterns)| {
            let patterns = patterns.iter().map(|text| text.parse().unwrap());
            (endpoint(name), patterns.collect())
        })
        .collect();
    let wanted = endpoints.iter().map(|(n, p)| (n, p.as_slice(), None));
    Topology::deliveries(wanted, &[step(700)])
}

/// Builds a topology of endpoints that receive every event, with their numbers of lanes.
pub(crate) fn lanes(endpoints: &[(&str, Option<u8>)]) -> Topology {
    let every = ["*".parse().unwrap()];
    let endpoints = endpoints
        .iter()
        .map(|(name, lanes)| (endpoint(name), lanes.and_then(ordered)));
    let endpoints: Vec<_> = endpoints.collect();
    let wanted = endpoints
        .iter()
        .map(|(name, lanes)| (name, every.as_slice(), *lanes));
    Topology::deliveries(wanted, &[])
}

/// Returns ordered lanes of this number.
pub(crate) fn ordered(lanes: u8) -> Option<Lanes> {
    LaneCount::new(lanes).map(Lanes::Ordered)
}

/// Topology of one endpoint that receives every event.
pub(crate) fn all() -> Topology {
    topology(&[("default", &["*"])])
}

pub(crate) fn event(name: &str, id: &str) -> QueuedEvent {
    let sent = format!(r#"{{"1":2,"event":"{name}","data":{{"text": "ü \ud83d \\ €","n":1e21}}}}"#);
    let accepted_at = UnixMillis::new(1_727_784_000_123);
    QueuedEvent {
        id: EventId::parse(id).unwrap(),
        name: EventName::parse(name).unwrap(),
        body: canonical_body(sent.as_bytes(), accepted_at).unwrap(),
        exact: Some(EventBody::as_received(Bytes::from(sent))),
        attempt: AttemptNumber::FIRST,
        accepted_at,
        redriven_at: None,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        propagated: Propagated::of(Some("v=1".into()), Some("user=%41;p, b=2".into())),
        origin: Origin::from_json(r#"{"source":"shop","session":"s1","chat":"1@c.us"}"#)
            .map(Arc::new),
        key: OrderKey::sent("order-7").ok(),
        is_redelivery: true,
        auto_redrives: 2,
    }
}

pub(crate) async fn next(subscription: &mut Subscription) -> Received {
    timeout(AT_LAST, subscription.next())
        .await
        .expect("a message in time")
        .expect("an open subscription")
}

/// Takes the next message of a queue; waits until there is one.
pub(crate) async fn take(connection: &ConsumerConnection, queue: &str) -> Received {
    wahook_tests::eventually::eventually(AT_LAST, queue, || async {
        connection.take_one(queue).await.unwrap()
    })
    .await
}

/// Returns true if no message arrives within 300 ms.
pub(crate) async fn is_silent(subscription: &mut Subscription) -> bool {
    timeout(Duration::from_millis(300), subscription.next())
        .await
        .is_err()
}
