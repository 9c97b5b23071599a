//! Checks of the queue contract.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wahook_domain::{
    Attempt, AttemptNumber, AttemptResult, EndpointName, Original, QueuedEvent, UnixMillis,
};
use wahook_queue::{
    AbsentQueues, DeadLetters, Declaration, EndpointQueues, Outgoing, PublishError,
    SubscriptionEnded, topology as names,
};
use wahook_tests::eventually::{AT_LAST, eventually};

use crate::place::{Place, all, endpoint, event, is_silent, next, step, take, topology};

const WORK: &str = "wahook.deliver.default";

pub(crate) async fn confirmed_events_are_delivered_in_order_and_unchanged_after_a_restart(
    place: &mut Place,
) {
    place.connect(&all()).await.close().await;
    let sent: Vec<_> = (0..600)
        .map(|n| event("message_ack", &format!("evt-{n}")))
        .collect();
    for event in &sent {
        place.publish(Outgoing::event(event)).await.unwrap();
    }
    place.restart().await;
    let connection = place.connect(&all()).await;
    let mut subscription = connection.subscribe(WORK, 10).await.unwrap();
    for expected in &sent {
        let received = next(&mut subscription).await;
        assert_eq!(&received.event().unwrap(), expected);
        received.receipt.ack().await.unwrap();
    }
    drop(subscription);
    connection.close().await;
    place.restart().await;
    let connection = place.connect(&all()).await;
    assert!(connection.take_one(WORK).await.unwrap().is_none());
    connection.close().await;
}

pub(crate) async fn unacked_messages_are_delivered_again_and_marked_redelivered(place: &mut Place) {
    let connection = place.connect(&all()).await;
    for n in 0..4 {
        let event = event("call", &format!("evt-{n}"));
        place.publish(Outgoing::event(&event)).await.unwrap();
    }
    let mut subscription = connection.subscribe(WORK, 3).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        let received = next(&mut subscription).await;
        assert!(!received.redelivered);
        held.push(received);
    }
    subscription.cancel().await;
    // An ack settles one message only.
    held.remove(1).receipt.ack().await.unwrap();
    drop((held, subscription));
    connection.close().await;
    for restarts in [false, true] {
        if restarts {
            place.restart().await;
        }
        let connection = place.connect(&all()).await;
        let mut again = BTreeSet::new();
        let mut subscription = connection.subscribe(WORK, 3).await.unwrap();
        let mut held = Vec::new();
        for _ in 0..3 {
            let received = next(&mut subscription).await;
            let id = received.event().unwrap().id.to_string();
            if id != "evt-3" {
                assert!(received.redelivered, "{id}");
            }
            again.insert(id);
            held.push(received);
        }
        let expected: BTreeSet<_> = ["evt-0", "evt-2", "evt-3"].map(str::to_owned).into();
        assert_eq!(again, expected);
        drop((held, subscription));
        connection.close().await;
    }
}

pub(crate) async fn a_message_dropped_unsettled_is_redelivered_at_once(place: &mut Place) {
    let connection = place.connect(&all()).await;
    let mut subscription = connection.subscribe(WORK, 10).await.unwrap();
    for n in 0..2 {
        let event = event("call", &format!("evt-{n}"));
        place.publish(Outgoing::event(&event)).await.unwrap();
    }
    let first = next(&mut subscription).await;
    let id = first.event().unwrap().id;
    next(&mut subscription).await.receipt.ack().await.unwrap();
    drop(first);
    let again = next(&mut subscription).await;
    assert!(again.redelivered);
    assert_eq!(again.event().unwrap().id, id);
    again.receipt.ack().await.unwrap();
    connection.close().await;
}

pub(crate) async fn a_silent_subscription_with_a_full_prefetch_is_not_replaced(place: &mut Place) {
    let connection = place.connect(&all()).await;
    let mut subscription = connection.subscribe(WORK, 1).await.unwrap();
    for n in 0..2 {
        let event = event("call", &format!("evt-{n}"));
        place.publish(Outgoing::event(&event)).await.unwrap();
    }
    let held = next(&mut subscription).await;
    // A silent subscription is checked after 5 s, and replaced at the earliest 5 s later.
    let silent = tokio::time::timeout(Duration::from_secs(12), subscription.next()).await;
    assert!(silent.is_err());
    held.receipt.ack().await.unwrap();
    next(&mut subscription).await.receipt.ack().await.unwrap();
    connection.close().await;
}

pub(crate) async fn no_more_messages_than_the_prefetch_are_unacked(place: &mut Place) {
    let connection = place.connect(&all()).await;
    for n in 0..5 {
        let event = event("call", &format!("evt-{n}"));
        place.publish(Outgoing::event(&event)).await.unwrap();
    }
    let mut subscription = connection.subscribe(WORK, 2).await.unwrap();
    let first = next(&mut subscription).await;
    let _second = next(&mut subscription).await;
    assert!(is_silent(&mut subscription).await);
    first.receipt.ack().await.unwrap();
    let third = next(&mut subscription).await;
    assert_eq!(third.event().unwrap().id.as_str(), "evt-2");
    assert!(is_silent(&mut subscription).await);
    connection.close().await;
}

pub(crate) async fn a_retry_is_delivered_after_its_delay_and_not_before(place: &mut Place) {
    let connection = place.connect(&all()).await;
    let mut subscription = connection.subscribe(WORK, 10).await.unwrap();
    let failed = event("call", "evt-1");
    let began = Instant::now();
    let retry = Outgoing::retry(&failed, &endpoint("default"), step(700));
    place.publish(retry).await.unwrap();
    let received = next(&mut subscription).await;
    let waited = began.elapsed();
    // Clocks count whole milliseconds.
    assert!(waited >= Duration::from_millis(699), "{waited:?}");
    let expected = QueuedEvent {
        attempt: AttemptNumber::FIRST.next(),
        ..failed
    };
    assert_eq!(received.event().unwrap(), expected);
    assert!(!received.redelivered);
    received.receipt.ack().await.unwrap();
    connection.close().await;
}

pub(crate) async fn a_rejected_message_is_dead_lettered_unchanged(place: &mut Place) {
    let connection = place.connect(&all()).await;
    let poison = event("call", "evt-1");
    place.publish(Outgoing::event(&poison)).await.unwrap();
    let received = take(&connection, WORK).await;
    received.receipt.reject().await.unwrap();
    let dead_letter = take(&connection, names::DEAD_QUEUE).await;
    let read = dead_letter.dead_letter();
    assert_eq!(read.payload, poison.carried_body().bytes());
    assert_eq!(read.content.unwrap(), poison);
    assert_eq!(read.endpoint, Some(EndpointName::default()));
    assert!(read.moved_by_broker && read.died_at.is_some());
    assert!(read.reason.contains("rejected"), "{}", read.reason);
    dead_letter.receipt.ack().await.unwrap();
    assert!(connection.take_one(WORK).await.unwrap().is_none());
    connection.close().await;
}

pub(crate) async fn a_message_redelivered_too_often_is_dead_lettered(place: &mut Place) {
    let connection = place.connect(&all()).await;
    let deadly = event("call", "evt-1");
    place.publish(Outgoing::event(&deadly)).await.unwrap();
    // A message that is dropped unsettled, as by a panic. The delivery limit counts
    // redeliveries only.
    let mut subscription = connection.subscribe(WORK, 1).await.unwrap();
    for delivery in 0..=100 {
        let received = next(&mut subscription).await;
        assert_eq!(received.redelivered, delivery > 0, "delivery {delivery}");
        drop(received);
    }
    let dead_letter = take(&connection, names::DEAD_QUEUE).await;
    let read = dead_letter.dead_letter();
    assert!(read.reason.contains("too often"), "{}", read.reason);
    assert_eq!(read.content.unwrap(), deadly);
    assert!(connection.take_one(WORK).await.unwrap().is_none());
    connection.close().await;
}

pub(crate) async fn events_are_routed_by_filter_and_unwanted_events_are_detected(
    place: &mut Place,
) {
    let two = topology(&[
        ("crm", &["message_*"]),
        ("audit", &["message_ack", "ready"]),
    ]);
    let connection = place.connect(&two).await;
    let publish = ["message_ack", "message_create", "ready"];
    for name in publish {
        place
            .publish(Outgoing::event(&event(name, name)))
            .await
            .unwrap();
    }
    let unwanted = event("call", "evt-1");
    let routed = place.publish(Outgoing::event(&unwanted)).await;
    assert_eq!(routed, Err(PublishError::Unroutable));
    assert_eq!(
        place.publish(Outgoing::unwanted_query(&unwanted)).await,
        Ok(())
    );
    let wanted = Outgoing::unwanted_query(&event("ready", "evt-2"));
    assert_eq!(place.publish(wanted).await, Err(PublishError::Unroutable));
    for (name, expected) in [
        ("crm", ["message_ack", "message_create"]),
        ("audit", ["message_ack", "ready"]),
    ] {
        let queue = names::work_queue(&endpoint(name));
        for id in expected {
            let received = take(&connection, &queue).await;
            assert_eq!(received.event().unwrap().id.as_str(), id);
            received.receipt.ack().await.unwrap();
        }
        assert!(connection.take_one(&queue).await.unwrap().is_none());
    }
    connection.close().await;
}

pub(crate) async fn no_event_is_unwanted_before_endpoints_are_declared(place: &mut Place) {
    let event = event("call", "evt-1");
    let routed = place.publish(Outgoing::event(&event)).await;
    assert_eq!(routed, Err(PublishError::Unroutable));
    let queried = place.publish(Outgoing::unwanted_query(&event)).await;
    assert_eq!(queried, Err(PublishError::Unroutable));
}

pub(crate) async fn a_topology_that_replaces_another_removes_its_filters(place: &mut Place) {
    let before = topology(&[("default", &["ready", "call"])]);
    let connection = place.connect(&before).await;
    let kept = Outgoing::event(&event("ready", "evt-1"));
    place.publish(kept).await.unwrap();
    let after = topology(&[("default", &["call"])]).replacing(&before);
    connection.declare(&after).await.unwrap();
    let ready = event("ready", "evt-2");
    let publisher = place.publisher().await;
    eventually(AT_LAST, "the event to be unwanted", || async {
        publisher
            .publish(Outgoing::unwanted_query(&ready))
            .await
            .ok()
    })
    .await;
    // Queued messages stay.
    let received = take(&connection, WORK).await;
    assert_eq!(received.event().unwrap().id.as_str(), "evt-1");
    connection.close().await;
}

pub(crate) async fn a_cancelled_subscription_ends_and_leaves_the_rest_in_the_queue(
    place: &mut Place,
) {
    let connection = place.connect(&all()).await;
    let mut subscription = connection.subscribe(WORK, 10).await.unwrap();
    place
        .publish(Outgoing::event(&event("call", "evt-1")))
        .await
        .unwrap();
    let received = next(&mut subscription).await;
    subscription.cancel().await;
    place
        .publish(Outgoing::event(&event("call", "evt-2")))
        .await
        .unwrap();
    let ended = tokio::time::timeout(AT_LAST, subscription.next()).await;
    assert!(matches!(ended, Ok(Err(SubscriptionEnded::Cancelled))));
    // A message delivered before can still be acked.
    received.receipt.ack().await.unwrap();
    let left = take(&connection, WORK).await;
    assert_eq!(left.event().unwrap().id.as_str(), "evt-2");
    left.receipt.ack().await.unwrap();
    connection.close().await;
}

pub(crate) async fn subscriptions_are_counted(place: &mut Place) {
    let connection = place.connect(&all()).await;
    let observer = connection.observe(WORK).await.unwrap();
    let count = |expected| {
        let observer = &observer;
        eventually(AT_LAST, "the right count", move || async move {
            (observer.consumers().await.unwrap() == expected).then_some(())
        })
    };
    count(0).await;
    let one = connection.subscribe(WORK, 1).await.unwrap();
    let two = connection.subscribe(WORK, 1).await.unwrap();
    count(2).await;
    one.cancel().await;
    count(1).await;
    drop(two);
    connection.close().await;
}

pub(crate) async fn dead_letters_and_results_stay_until_they_are_taken(place: &mut Place) {
    let connection = place.connect(&all()).await;
    let (event, name) = (event("call", "evt-1"), endpoint("default"));
    let now = UnixMillis::new(1_727_784_035_000);
    let dead_letter = Outgoing::dead_letter(&event, &name, "answered 500", now);
    place.publish(dead_letter.of_outage(true)).await.unwrap();
    let result = AttemptResult {
        event_id: event.id.clone(),
        endpoint: name.clone(),
        event: event.name.clone(),
        body: event.body.clone(),
        accepted_at: event.accepted_at,
        origin: None,
        original: Original::Same,
        attempt: Attempt {
            queued_at: event.accepted_at,
            number: AttemptNumber::FIRST,
            started_at: now,
            duration_ms: 3,
            status_code: Some(500),
            error: Some("answered 500".into()),
            next_attempt_at: None,
            webhook_url: Arc::from("https://example.test/hook"),
            response: None,
            other_event: false,
        },
    };
    place.publish(Outgoing::result(&result)).await.unwrap();
    connection.close().await;
    place.restart().await;
    let connection = place.connect(&all()).await;
    let read = take(&connection, names::DEAD_QUEUE).await.dead_letter();
    assert_eq!(read.content.unwrap(), event);
    assert_eq!(
        (read.reason.as_str(), read.died_at),
        ("answered 500", Some(now))
    );
    assert!(!read.moved_by_broker);
    assert_eq!(read.is_outage, Some(true));
    let taken = take(&connection, names::RESULTS_QUEUE).await;
    assert_eq!(taken.result().unwrap(), result);
    connection.close().await;
}

pub(crate) async fn dead_letters_are_complete_for_each_reader_after_the_one_before(
    place: &mut Place,
) {
    const LETTERS: u32 = 200;
    place.connect(&all()).await.close().await;
    let now = UnixMillis::new(1_727_784_035_000);
    for n in 0..LETTERS {
        let event = event("call", &format!("evt-{n}"));
        let letter = Outgoing::dead_letter(&event, &endpoint("default"), "answered 500", now);
        place.publish(letter).await.unwrap();
    }
    for removed in 0..10 {
        let mut letters = eventually(AT_LAST, "all letters that are left", || async {
            let letters = DeadLetters::open(&place.broker(), "conformance").await;
            let letters = letters.unwrap();
            if letters.left() == LETTERS - removed {
                return Some(letters);
            }
            letters.close().await;
            None
        })
        .await;
        let mut first = letters.next().await.unwrap().map(|(_, receipt)| receipt);
        // Some read a part only.
        for _ in 1..LETTERS / (1 + removed % 2) {
            letters.next().await.unwrap();
        }
        first.take().unwrap().ack().await.unwrap();
        letters.flush().await.unwrap();
        letters.close().await;
    }
}

pub(crate) async fn a_removed_endpoint_is_found_with_its_messages_and_receives_no_more_once_unbound(
    place: &mut Place,
) {
    let (old, new) = (endpoint("old"), endpoint("new"));
    let declared = |text: &str| BTreeSet::from([text.parse::<Declaration>().unwrap()]);
    let open = |broker| async move { EndpointQueues::open(&broker, "conformance").await.unwrap() };
    let connection = place.connect(&topology(&[("old", &["order.*"])])).await;
    let queues = open(place.broker()).await;
    queues.register(&declared("old order.*")).await.unwrap();
    queues.close().await;
    let made = event("order.made", "evt-1");
    place.publish(Outgoing::event(&made)).await.unwrap();
    connection.close().await;

    place.restart().await;
    let connection = place.connect(&topology(&[("new", &["order.*"])])).await;
    let queues = open(place.broker()).await;
    let registered = queues.register(&declared("new order.*")).await.unwrap();
    let mut known: BTreeSet<_> = registered.into_iter().map(|d| d.endpoint).collect();
    known.insert(new.clone());
    let census = eventually(AT_LAST, "the new endpoint", || async {
        let census = queues
            .census(&known, &BTreeSet::new(), &mut AbsentQueues::default())
            .await
            .unwrap();
        census.contains_key(&new).then_some(census)
    })
    .await;
    assert_eq!(census[&old].messages(), 1);
    assert_ne!(census[&old].is_served, Some(true));
    assert_ne!(census[&new].is_served, Some(false));

    let patterns = ["order.*".parse().unwrap()];
    queues.unbind(&old, &patterns, None).await.unwrap();
    let paid = event("order.paid", "evt-2");
    place.publish(Outgoing::event(&paid)).await.unwrap();
    let of_new = take(&connection, &names::work_queue(&new)).await;
    assert_eq!(of_new.event().unwrap(), paid);
    of_new.receipt.ack().await.unwrap();
    let of_old = take(&connection, &names::work_queue(&old)).await;
    assert_eq!(of_old.event().unwrap(), made);
    of_old.receipt.ack().await.unwrap();
    eventually(AT_LAST, "an empty queue", || async {
        let census = queues
            .census(&known, &BTreeSet::new(), &mut AbsentQueues::default())
            .await
            .unwrap();
        let left = census.get(&old).map_or(0, |queue| queue.messages());
        (left == 0).then_some(())
    })
    .await;
    // A repeated declaration is stored once; a store keeps none.
    let again = queues.register(&declared("new order.*")).await.unwrap();
    assert!([0, 2].contains(&again.len()), "{again:?}");
    queues.close().await;
    connection.close().await;
}
