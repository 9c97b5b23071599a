//! Held events: retried beyond their schedule until they are delivered or given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use serde_json::json;
use wahook_tests::amqp_wire::AmqpWire;
use wahook_tests::chats::{Chats, event_of};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Post, Receiver};
use wahook_tests::world::{Test, Tests};

const SETTINGS: [(&str, &str); 6] = [
    ("WEBHOOK_ORDER", "chat"),
    ("WEBHOOK_LANES", "2"),
    ("WEBHOOK_ON_EXHAUSTED", "hold"),
    ("WEBHOOK_RETRY_ATTEMPTS", "2"),
    ("WEBHOOK_RETRY_DELAY", "150"),
    ("WEBHOOK_CIRCUIT", "off"),
];
const CHATS: Chats = Chats {
    chats: 6,
    each: 5,
    senders: 6,
};
/// Id of the event that fails, and of the one behind it.
const FAILING: &str = "3-0";
const BEHIND: &str = "3-1";

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_held_event_blocks_its_key_over_kills_of_its_owner_until_it_is_delivered",
        delivered_in_the_end,
    );
    tests.add(
        "a_held_event_is_given_up_by_an_operator_and_the_next_of_its_key_starts",
        given_up,
    );
    tests.add(
        "an_event_that_no_lane_holds_is_not_given_up",
        not_held_in_a_lane,
    );
}

fn is_failing(post: &Post) -> bool {
    event_of(post) == (3, 0)
}

async fn give_up(pair: &Pair, event: &str) -> Ran {
    let place = pair.place();
    let url = pair.receiver.url();
    let settings = [
        ("AMQP_URL", place.amqp_url.as_str()),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
        ("WEBHOOK_URL", url.as_str()),
        ("USER", "ann"),
    ];
    let arguments = ["endpoints", "give-up", "default", "--event", event];
    let command = Command::start(ProgramName::Consumer, &arguments, &settings);
    command.await.finish().await
}

/// Returns the number of keys that all consumers hold.
async fn held_keys(pair: &Pair) -> f64 {
    let urls: Vec<_> = {
        let consumers = pair.consumers.lock().unwrap();
        consumers
            .iter()
            .map(|consumer| consumer.base_url())
            .collect()
    };
    let mut held = 0.0;
    for url in urls {
        let text = reqwest::get(format!("{url}/metrics")).await.unwrap();
        let text = text.text().await.unwrap();
        let metrics = wahook_tests::program::Metrics::parse(&text).unwrap();
        held += metrics.sum("wahook_lane_held_keys");
    }
    held
}

/// Waits until all events but those of the blocked chat have arrived, and the failing one was
/// tried this often.
async fn until_held(pair: &Pair, attempts: usize) {
    let others = (CHATS.chats - 1) * CHATS.each;
    let held = |posts: &[Arc<Post>]| {
        let tried = posts.iter().filter(|post| is_failing(post)).count();
        let arrived = CHATS.chats * CHATS.each - CHATS.order(posts, is_failing).missing;
        arrived == others && tried >= attempts
    };
    pair.receiver
        .wait_until("a held event", AT_LAST, held)
        .await;
    eventually(AT_LAST, "the metric of the held key", || async {
        (held_keys(pair).await == 1.0).then_some(())
    })
    .await;
}

async fn letters(pair: &Pair) -> u32 {
    let mut wire = AmqpWire::connect(&pair.place().amqp_url).await.unwrap();
    let letter = wire.get("wahook.dead").await.unwrap();
    u32::from(letter.is_some())
}

async fn delivered_in_the_end(test: Test) {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let receiver = Receiver::answering(move |post| {
        let fails = is_failing(post) && down.load(Ordering::Relaxed);
        Answer::status(if fails { 500 } else { 200 })
    });
    let pair = test.pair(receiver.await, &SETTINGS).await;
    pair.add_consumer().await;
    CHATS.post(&pair.producer.base_url()).await;
    until_held(&pair, 6).await;
    let record = pair
        .wait_record(FAILING, AT_LAST, |record| {
            record.get_i32("retryCount").unwrap_or_default() > 3
        })
        .await;
    assert_eq!(record.get_str("status").unwrap(), "retrying", "{record}");
    assert!(
        matches!(record.get("nextAttemptAt"), Some(Bson::DateTime(_))),
        "{record}"
    );

    let last = |pair: &Pair| {
        let posts = pair.receiver.posts();
        let attempts = posts.iter().filter(|post| is_failing(post));
        attempts.filter_map(|post| post.attempt()).max().unwrap()
    };
    for _ in 0..2 {
        let owner = pair.consumers.lock().unwrap().remove(0);
        owner.kill9().await;
        pair.add_consumer().await;
        let before = last(&pair);
        pair.receiver.forget();
        // The count goes on; an attempt without a record at the kill is made again, and so are
        // those that the log does not return in time.
        pair.receiver
            .wait_until("further attempts", AT_LAST, |posts| {
                let numbers = posts.iter().filter_map(|post| post.attempt());
                numbers.max() > Some(before)
            })
            .await;
        let posts = pair.receiver.posts();
        assert!(posts.iter().all(|post| is_failing(post)), "others overtook");
    }
    is_down.store(false, Ordering::Relaxed);
    let posts = pair
        .receiver
        .wait_until("the blocked chat", AT_LAST, |posts| {
            posts.iter().any(|post| event_of(post) == (3, 4))
        })
        .await;
    let order: Vec<_> = posts.iter().map(|post| event_of(post).1).collect();
    assert!(order.is_sorted(), "{order:?}");
    pair.wait_record(FAILING, AT_LAST, |record| {
        record.get_str("status").ok() == Some("success")
    })
    .await;
    assert_eq!(letters(&pair).await, 0);
    eventually(AT_LAST, "no held key", || async {
        (held_keys(&pair).await == 0.0).then_some(())
    })
    .await;
}

async fn given_up(test: Test) {
    // A 410 ends no delivery of a held event either.
    let receiver =
        Receiver::answering(|post| Answer::status(if is_failing(post) { 410 } else { 200 }));
    let pair = test.pair(receiver.await, &SETTINGS).await;
    pair.add_consumer().await;
    CHATS.post(&pair.producer.base_url()).await;
    until_held(&pair, 5).await;
    for (event, reason) in [
        ("no-such-event", "the log has no attempt of it"),
        (BEHIND, "the log has no attempt of it"),
        ("1-1", "it is delivered"),
    ] {
        let refused = give_up(&pair, event).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.contains(reason), "{refused:?}");
    }
    let given = give_up(&pair, FAILING).await;
    assert!(given.printed().contains("is a dead letter"), "{given:?}");
    let posts = pair
        .receiver
        .wait_until("the blocked chat", AT_LAST, |posts| {
            posts.iter().any(|post| event_of(post) == (3, 4))
        })
        .await;
    let found = CHATS.order(&posts, is_failing);
    assert_eq!((found.missing, found.inverted_attempts), (1, 0), "{found}");
    let record = pair
        .wait_record(FAILING, AT_LAST, |record| {
            record.get_str("status").ok() == Some("failed")
        })
        .await;
    let error = record.get_str("errorMessage").unwrap();
    assert_eq!(error, "given up by an operator (ann, command line)");
    let refused = give_up(&pair, FAILING).await;
    assert!(refused.stderr.contains("its dead letter"), "{refused:?}");
    assert_eq!(letters(&pair).await, 1);
    eventually(AT_LAST, "no held key", || async {
        (held_keys(&pair).await == 0.0).then_some(())
    })
    .await;
    let subjects = audit(&pair).await;
    assert_eq!(
        subjects,
        [("give-up".to_owned(), format!("{FAILING}/default"))]
    );
}

/// Returns action and subject of all orders.
async fn audit(pair: &Pair) -> Vec<(String, String)> {
    let client = mongodb::Client::with_uri_str(&pair.place().mongodb_uri);
    let database = client.await.unwrap().database(&pair.place().database);
    let actions = database.collection::<Document>("wahookactions");
    let found: Vec<_> = actions
        .find(doc! {})
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let text = |action: &Document, name| action.get_str(name).unwrap().to_owned();
    let both = |action| (text(action, "action"), text(action, "subject"));
    found.iter().map(both).collect()
}

async fn not_held_in_a_lane(test: Test) {
    let settings = [("WEBHOOK_RETRY_DELAY", "600000")];
    let receiver = Receiver::answering(|_| Answer::status(500));
    let pair = test.pair(receiver.await, &settings).await;
    let id = pair.post(&json!({"event": "test"})).await.accepted_id();
    pair.wait_record(&id, AT_LAST, |_| true).await;
    let refused = give_up(&pair, &id).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("The order was withdrawn"),
        "{refused:?}"
    );
    let record = pair.record(&id).await.unwrap();
    assert_eq!(record.get_str("status").unwrap(), "retrying");
    assert_eq!(letters(&pair).await, 0);
}
