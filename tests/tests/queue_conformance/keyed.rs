//! Checks of the routing by key, at RabbitMQ only: the embedded store has one lane.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};
use wahook_domain::{LaneCount, OrderKey, QueuedEvent};
use wahook_queue::{
    AbsentQueues, ConsumerConnection, EndpointQueues, LaneSubscription, Outgoing, PublishError,
    QueueMessages, topology as names,
};
use wahook_tests::eventually::{AT_LAST, eventually};

use crate::place::{Place, endpoint, event, lanes, ordered, take};

pub(crate) async fn an_event_enters_the_lane_of_its_key_and_each_other_queue_once(
    place: &mut Place,
) {
    let topology = lanes(&[
        ("crm", Some(4)),
        ("erp", Some(3)),
        ("one", Some(1)),
        ("plain", None),
    ]);
    let connection = place.connect(&topology).await;
    let sent: Vec<_> = (0..120).map(keyed_event).collect();
    for event in &sent {
        place.publish(Outgoing::event(event)).await.unwrap();
    }
    for (name, count) in [("crm", 4), ("erp", 3), ("one", 1)] {
        let count = LaneCount::new(count).unwrap();
        let mut received = BTreeSet::new();
        for lane in 0..count.get() {
            let expected = sent
                .iter()
                .filter(|event| count.lane_of(bucket(event)) == lane);
            let expected: Vec<_> = expected.map(|event| event.id.to_string()).collect();
            let queue = names::lane_queue(&endpoint(name), count, lane);
            let mut owner = connection.subscribe_lane(&queue).await.unwrap();
            for id in expected {
                assert_eq!(next(&mut owner).await, id, "{name} {lane}");
                received.insert(id);
            }
            let more = timeout(Duration::from_millis(100), owner.next()).await;
            assert!(more.is_err(), "{name} {lane}");
            owner.close().await;
        }
        assert_eq!(received.len(), sent.len(), "{name}");
    }
    let plain = names::work_queue(&endpoint("plain"));
    for event in &sent {
        let received = take(&connection, &plain).await;
        assert_eq!(received.event().unwrap().id, event.id);
        received.receipt.ack().await.unwrap();
    }
    let work = names::work_queue(&endpoint("crm"));
    assert!(connection.take_one(&work).await.unwrap().is_none());
    connection.close().await;
}

pub(crate) async fn a_running_publisher_learns_about_lanes_and_keeps_to_keys(place: &mut Place) {
    let plain = place.connect(&lanes(&[("crm", None)])).await;
    let work = names::work_queue(&endpoint("crm"));
    let mut number = 0;
    let event = in_lane(number, LaneCount::ONE, 0);
    place.publish(Outgoing::event(&event)).await.unwrap();
    take(&plain, &work).await.receipt.ack().await.unwrap();
    // The same endpoint with lanes; a publisher of an earlier version uses no keys.
    let topology = lanes(&[("crm", Some(4)), ("other", None)]);
    let topology = topology.replacing(&lanes(&[("crm", None)]));
    let laned = place.connect(&topology).await;
    let four = LaneCount::new(4).unwrap();
    let mut last = subscribe(&laned, four, 3).await;
    // Until the publisher has learned it, events enter the first lane.
    let mut first = subscribe(&laned, four, 0).await;
    loop {
        number += 1;
        let event = in_lane(number, four, 3);
        place.publish(Outgoing::event(&event)).await.unwrap();
        let (id, is_by_key) = timeout(AT_LAST, async {
            tokio::select! {
                id = next(&mut first) => (id, false),
                id = next(&mut last) => (id, true),
            }
        })
        .await
        .unwrap();
        assert_eq!(id, event.id.as_str());
        assert!(number < 1_000, "the publisher learns nothing");
        if is_by_key {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    number += 1;
    let without_key = Outgoing::event(&in_lane(number, four, 2)).without_key();
    place.publish(without_key).await.unwrap();
    assert_eq!(next(&mut first).await, format!("evt-{number}"));
    assert!(plain.take_one(&work).await.unwrap().is_none());
    // A consumer without lanes changes nothing for producers.
    let again = place.connect(&lanes(&[("later", None)])).await;
    number += 1;
    let event = in_lane(number, four, 3);
    place.publish(Outgoing::event(&event)).await.unwrap();
    assert_eq!(next(&mut last).await, event.id.as_str());
    let received = take(&again, &names::work_queue(&endpoint("later"))).await;
    assert_eq!(received.event().unwrap().id, event.id);
    received.receipt.ack().await.unwrap();
    first.close().await;
    last.close().await;
    plain.close().await;
    laned.close().await;
    again.close().await;
}

pub(crate) async fn an_event_that_no_endpoint_wants_is_unwanted_by_key_too(place: &mut Place) {
    let patterns = ["message_*".parse().unwrap()];
    let (crm, four) = (endpoint("crm"), ordered(4));
    let topology = wahook_queue::Topology::deliveries([(&crm, patterns.as_slice(), four)], &[]);
    let connection = place.connect(&topology).await;
    for name in ["call", "order.made"] {
        let unwanted = event(name, "evt-1");
        let routed = place.publish(Outgoing::event(&unwanted)).await;
        assert_eq!(routed, Err(PublishError::Unroutable), "{name}");
        let query = Outgoing::unwanted_query(&unwanted);
        assert_eq!(place.publish(query).await, Ok(()), "{name}");
    }
    for name in ["message_ack", "message_poll"] {
        let wanted = event(name, "evt-2");
        let queried = place.publish(Outgoing::unwanted_query(&wanted)).await;
        assert_eq!(queried, Err(PublishError::Unroutable), "{name}");
        assert_eq!(
            place.publish(Outgoing::event(&wanted)).await,
            Ok(()),
            "{name}"
        );
    }
    connection.close().await;
}

pub(crate) async fn lanes_of_a_removed_endpoint_are_counted_emptied_and_unbound(place: &mut Place) {
    let connection = place
        .connect(&lanes(&[("crm", Some(2)), ("kept", None)]))
        .await;
    for n in 0..20 {
        place
            .publish(Outgoing::event(&keyed_event(n)))
            .await
            .unwrap();
    }
    let queues = EndpointQueues::open(&place.broker(), "lanes")
        .await
        .unwrap();
    let declared = BTreeSet::from(["crm lanes=2 *".parse().unwrap()]);
    let known = queues.register(&declared).await.unwrap();
    let (crm, two) = (endpoint("crm"), ordered(2));
    let of_crm = BTreeSet::from([crm.clone()]);
    eventually(AT_LAST, "all events", || async {
        let census = queues
            .census(&of_crm, &known, &mut AbsentQueues::default())
            .await
            .unwrap();
        (census[&crm].messages() == 20).then_some(())
    })
    .await;
    queues
        .unbind(&crm, &["*".parse().unwrap()], two)
        .await
        .unwrap();
    // What was never bound is no error.
    queues
        .unbind(&endpoint("never"), &["*".parse().unwrap()], two)
        .await
        .unwrap();
    place
        .publish(Outgoing::event(&keyed_event(20)))
        .await
        .unwrap();
    let mut taken = BTreeMap::new();
    let begun = Instant::now();
    // A read ends when no message has arrived for a while.
    while taken.len() < 20 && begun.elapsed() < AT_LAST {
        for queue in names::lane_queues(&crm, two.unwrap().count()) {
            let broker = place.broker();
            let mut messages = QueueMessages::open(&broker, "lanes", &queue).await.unwrap();
            while let Some(received) = messages.next().await.unwrap() {
                let id = received.event().unwrap().id.to_string();
                received.receipt.ack().await.unwrap();
                taken.insert(id, queue.clone());
            }
            messages.close().await;
        }
    }
    assert_eq!(taken.len(), 20);
    let kept = names::work_queue(&endpoint("kept"));
    for n in 0..21 {
        let received = take(&connection, &kept).await;
        assert_eq!(received.event().unwrap().id.as_str(), format!("evt-{n}"));
        received.receipt.ack().await.unwrap();
    }
    queues.close().await;
    connection.close().await;
}

/// Returns an event with a key of its own; some are known events, some are not.
fn keyed_event(n: u32) -> QueuedEvent {
    let name = if n.is_multiple_of(2) {
        "message_ack"
    } else {
        "order.made"
    };
    QueuedEvent {
        key: Some(OrderKey::sent(&format!("key-{}", n / 2)).unwrap()),
        ..event(name, &format!("evt-{n}"))
    }
}

/// Returns an event whose key belongs to a lane.
fn in_lane(n: u32, lanes: LaneCount, lane: u8) -> QueuedEvent {
    let keys = (0..).map(|n| OrderKey::sent(&format!("key-{n}")).unwrap());
    let mut of_lane = keys
        .into_iter()
        .filter(|key| lanes.lane_of(key.bucket()) == lane);
    QueuedEvent {
        key: of_lane.next(),
        ..event("call", &format!("evt-{n}"))
    }
}

fn bucket(event: &QueuedEvent) -> u8 {
    event.key.as_ref().unwrap().bucket()
}

async fn subscribe(
    connection: &ConsumerConnection,
    lanes: LaneCount,
    lane: u8,
) -> LaneSubscription {
    let queue = names::lane_queue(&endpoint("crm"), lanes, lane);
    connection.subscribe_lane(&queue).await.unwrap()
}

/// Acks the next message; returns its id.
async fn next(owner: &mut LaneSubscription) -> String {
    let received = timeout(AT_LAST, owner.next())
        .await
        .expect("a message in time");
    let received = received.unwrap();
    let id = received.event().unwrap().id.to_string();
    received.receipt.ack().await.unwrap();
    id
}
