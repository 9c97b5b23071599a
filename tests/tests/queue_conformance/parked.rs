//! Checks of parking slots.

use wahook_domain::{EventId, LaneCount};
use wahook_queue::{Depth, LaneSubscription, Outgoing, Parked, Received, topology as names};

use crate::place::{Place, endpoint, event, lanes};

pub(crate) async fn parked_events_are_in_order_and_unchanged_after_a_restart(place: &mut Place) {
    let topology = lanes(&[("crm", Some(1))]);
    let lane = names::lane_queue(&endpoint("crm"), LaneCount::ONE, 0);
    let slots = names::slot_queues(&lane);
    let connection = place.connect(&topology).await;
    let id = |id: &str| EventId::parse(id).unwrap();
    let events: Vec<_> = (0..20)
        .map(|n| event("call", &format!("evt-{n}")))
        .collect();
    let parked = |n: usize| Parked::Event {
        behind: id("head"),
        may_repeat: n % 2 == 1,
    };
    let messages = events.iter().enumerate().map(|(n, event)| {
        let message = Outgoing::parked(event, &slots[1], id("head"), false);
        if n % 2 == 1 {
            message.repeated()
        } else {
            message
        }
    });
    let marker = Outgoing::marker(&slots[1], id("token"));
    let messages = messages.chain([marker]).collect();
    let publisher = place.publisher().await;
    publisher.publish_in_order(messages).await.unwrap();
    drop((publisher, connection));
    place.restart().await;
    let connection = place.connect(&topology).await;
    let depths = connection.depths(&slots).await.unwrap();
    assert_eq!(depths[0], Depth::default());
    assert_eq!((depths[1].messages, depths[1].consumers), (21, 0));
    let mut slot = connection.subscribe_lane(&slots[1]).await.unwrap();
    for (n, event) in events.iter().enumerate() {
        let received = next(&mut slot).await;
        assert_eq!(received.event().as_ref(), Ok(event));
        assert_eq!(received.parked(), Some(parked(n)));
        assert_eq!(received.marker(), None);
        received.receipt.ack().await.unwrap();
    }
    let received = next(&mut slot).await;
    assert_eq!(received.marker(), Some(id("token")));
    assert!(received.event().is_err());
    received.receipt.ack().await.unwrap();
    let depths = connection.depths(&slots).await.unwrap();
    assert_eq!((depths[1].messages, depths[1].consumers), (0, 1));
    slot.close().await;
    connection.close().await;
}

async fn next(slot: &mut LaneSubscription) -> Received {
    let soon = std::time::Duration::from_secs(20);
    let next = tokio::time::timeout(soon, slot.next()).await;
    next.expect("a message in time").expect("an open slot")
}
