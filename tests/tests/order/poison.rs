//! Events whose delivery panics: dead letters after a few panics, without others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wahook_runtime::Shutdown;
use wahook_tests::amqp_wire::AmqpWire;
use wahook_tests::chats::Chats;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::world::{Test, Tests};

use crate::panicking::{POISON, consumer, is_poison, orphaned};

/// Panics before the event ends without an attempt.
const MOST_PANICS: usize = 3;
const SETTINGS: [(&str, &str); 2] = [("WEBHOOK_ORDER", "chat"), ("WEBHOOK_LANES", "1")];
const CHATS: Chats = Chats {
    chats: 8,
    each: 4,
    senders: 8,
};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "an_event_whose_delivery_panics_is_a_dead_letter_after_three_panics",
        |test| poisoned(test, MOST_PANICS),
    );
    tests.add(
        "an_event_that_panics_wherever_it_is_processed_is_rejected",
        |test| poisoned(test, usize::MAX),
    );
}

async fn poisoned(test: Test, panics: usize) {
    let pair = orphaned(&test, &SETTINGS, CHATS).await;
    let made = Arc::new(AtomicUsize::new(0));
    let url = pair.receiver.url();
    let consumer = consumer(pair.place(), &url, &SETTINGS, panics, &made).await;
    let (shutdown, trigger) = Shutdown::manual();
    let running = tokio::spawn(consumer.run(shutdown));
    let dead = eventually(AT_LAST, "the dead letter", || async {
        let mut wire = AmqpWire::connect(&pair.place().amqp_url).await.unwrap();
        wire.get("wahook.dead").await.unwrap()
    })
    .await;
    let body = String::from_utf8_lossy(&dead.body);
    assert!(
        body.contains(r#""chat":3,"#) && body.contains(r#""n":0"#),
        "{body}"
    );
    let expected = MOST_PANICS + usize::from(panics > MOST_PANICS);
    assert_eq!(made.load(Ordering::Relaxed), expected);
    eventually(AT_LAST, "all other events", || async {
        (CHATS.order(&pair.receiver.posts(), is_poison).missing == 1).then_some(())
    })
    .await;
    let posts = pair.receiver.posts();
    let found = CHATS.order(&posts, is_poison);
    assert_eq!((found.inverted_attempts, found.inverted_successes), (0, 0));
    assert!(!posts.iter().any(|post| is_poison(post)), "{found}");
    if panics == MOST_PANICS {
        let record = pair
            .wait_record(POISON, AT_LAST, |record| {
                record.get_str("status").ok() == Some("failed")
            })
            .await;
        let reason = record.get_str("errorMessage").unwrap();
        assert_eq!(reason, "poison: its delivery panicked 3 times");
    }
    let mut wire = AmqpWire::connect(&pair.place().amqp_url).await.unwrap();
    assert!(
        wire.get("wahook.dead").await.unwrap().is_none(),
        "another dead letter"
    );
    trigger.soft();
    running.await.unwrap().unwrap();
}
