//! Event of an endpoint without order whose delivery panics each time: a dead letter after the
//! delivery limit of its queue, without others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lapin::options::BasicGetOptions;
use lapin::types::AMQPValue;
use lapin::{Connection, ConnectionProperties};
use wahook_runtime::Shutdown;
use wahook_tests::chats::Chats;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::world::{Test, Tests};

use crate::panicking::{POISON, consumer, is_poison, orphaned};

/// Returns of a message that its work queue allows. The next one makes it a dead letter.
const DELIVERY_LIMIT: usize = 100;
const CHATS: Chats = Chats {
    chats: 8,
    each: 1,
    senders: 8,
};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "an_event_without_order_that_always_panics_is_a_dead_letter_after_the_delivery_limit",
        |test| poisoned(test, "1", "wahook.deliver.default"),
    );
    tests.add(
        "an_event_in_a_lane_without_order_that_always_panics_is_a_dead_letter_after_the_delivery_limit",
        |test| poisoned(test, "16", "wahook.deliver.16."),
    );
}

async fn poisoned(test: Test, lanes: &'static str, queue: &'static str) {
    let settings = [("WEBHOOK_LANES", lanes)];
    let pair = orphaned(&test, &settings, CHATS).await;
    let made = Arc::new(AtomicUsize::new(0));
    let url = pair.receiver.url();
    let consumer = consumer(pair.place(), &url, &settings, usize::MAX, &made).await;
    let (shutdown, trigger) = Shutdown::manual();
    let running = tokio::spawn(consumer.run(shutdown));
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&pair.place().amqp_url, properties).await;
    let channel = connection.unwrap().create_channel().await.unwrap();
    let letter = || channel.basic_get("wahook.dead".into(), BasicGetOptions { no_ack: true });
    let dead = eventually(AT_LAST, "the dead letter", || async {
        letter().await.unwrap()
    });
    let properties = dead.await.delivery.properties;
    let id = properties.message_id().as_ref().map(|id| id.as_str());
    assert_eq!(id, Some(POISON));
    let headers = properties.headers().clone().unwrap();
    let reason = headers.inner().get("x-first-death-reason");
    assert_eq!(
        reason,
        Some(&AMQPValue::LongString("delivery_limit".into()))
    );
    let from = headers.inner().get("x-first-death-queue");
    let from = from
        .and_then(AMQPValue::as_long_string)
        .map(ToString::to_string);
    assert!(
        from.as_ref().is_some_and(|from| from.starts_with(queue)),
        "{from:?}"
    );
    // The kill of the first consumer was a return too.
    assert_eq!(made.load(Ordering::Relaxed), DELIVERY_LIMIT);
    eventually(AT_LAST, "all other events", || async {
        (CHATS.order(&pair.receiver.posts(), is_poison).missing == 1).then_some(())
    })
    .await;
    assert!(!pair.receiver.posts().iter().any(|post| is_poison(post)));
    assert!(letter().await.unwrap().is_none(), "another dead letter");
    trigger.soft();
    running.await.unwrap().unwrap();
}
