//! Keys: each is delivered in order, and blocks no other.

use std::collections::BTreeMap;

use serde_json::json;
use wahook_tests::chats::{Chats, event_of, fails_once};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::receiver::{Answer, Post, Receiver};
use wahook_tests::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    for (order, lanes, concurrency) in [
        ("chat", "1", "1"),
        ("chat", "5", "128"),
        ("session", "1", "128"),
    ] {
        let name = format!(
            "events_of_each_key_arrive_in_order_by_{order}_with_{lanes}_lanes_and_concurrency_{concurrency}"
        );
        tests.add(name, move |test| {
            events_of_each_key_arrive_in_order(test, order, lanes, concurrency)
        });
    }
    tests.add(
        "a_failing_head_blocks_its_own_key_until_it_is_a_dead_letter",
        a_failing_head_blocks_its_own_key,
    );
    tests.add("a_key_of_the_sender_orders_any_event", a_key_of_the_sender);
    tests.add(
        "without_order_later_events_of_a_chat_overtake_a_failed_one",
        without_order,
    );
}

fn answer(post: &Post) -> Answer {
    Answer::status(if fails_once(post) { 500 } else { 200 })
}

async fn events_of_each_key_arrive_in_order(
    test: Test,
    order: &str,
    lanes: &str,
    concurrency: &str,
) {
    let settings = [
        ("WEBHOOK_CONCURRENCY", concurrency),
        ("WEBHOOK_ORDER", order),
        ("WEBHOOK_LANES", lanes),
        ("WEBHOOK_RETRY_DELAY", "300"),
    ];
    let pair = test
        .pair(Receiver::answering(answer).await, &settings)
        .await;
    pair.add_consumer().await;
    // By session, all of these events share the key of events without a session.
    let each = if order == "session" { 2 } else { 20 };
    let chats = Chats {
        chats: 40,
        each,
        senders: 16,
    };
    chats.post(&pair.producer.base_url()).await;
    eventually(AT_LAST, "all events", || async {
        (chats.order(&pair.receiver.posts(), fails_once).missing == 0).then_some(())
    })
    .await;
    let posts = pair.receiver.posts();
    let found = chats.order(&posts, fails_once);
    assert!(found.is_kept(), "{found}");
    let failed = posts.iter().filter(|post| fails_once(post)).count();
    assert_eq!(found.posts, chats.chats * each + failed, "{found}");
    let keys: BTreeMap<_, _> = posts.iter().map(|post| (event_of(post).0, ())).collect();
    assert_eq!(keys.len(), chats.chats);
}

async fn a_failing_head_blocks_its_own_key(test: Test) {
    let receiver = Receiver::answering(|post| {
        Answer::status(if event_of(post) == (3, 0) { 500 } else { 200 })
    });
    let settings = [
        ("WEBHOOK_ORDER", "chat"),
        ("WEBHOOK_LANES", "1"),
        // Long enough for all events of the other chats.
        ("WEBHOOK_RETRY_DELAY", "5000"),
        ("WEBHOOK_RETRY_ATTEMPTS", "2"),
    ];
    let pair = test.pair(receiver.await, &settings).await;
    let chats = Chats {
        chats: 6,
        each: 10,
        senders: 6,
    };
    chats.post(&pair.producer.base_url()).await;
    let posts = pair
        .receiver
        .wait_until("all events", AT_LAST, |posts| {
            chats.order(posts, |post| event_of(post) == (3, 0)).missing == 1
        })
        .await;
    let found = chats.order(&posts, |post| event_of(post) == (3, 0));
    assert_eq!(
        (found.inverted_attempts, found.inverted_successes),
        (0, 0),
        "{found}"
    );
    let place = |event| {
        posts
            .iter()
            .rposition(|post| event_of(post) == event)
            .unwrap()
    };
    let attempts = posts.iter().filter(|post| event_of(post) == (3, 0));
    assert_eq!(attempts.count(), 3);
    for chat in [0, 1, 2, 4, 5] {
        assert!(place((chat, 9)) < place((3, 0)), "chat {chat} was blocked");
    }
    assert!(place((3, 0)) < place((3, 1)));
    let failed = mongodb::bson::doc! {"status": "failed"};
    eventually(AT_LAST, "the record of the dead letter", || async {
        (pair.log().count_documents(failed.clone()).await.ok()? == 1).then_some(())
    })
    .await;
}

async fn a_key_of_the_sender(test: Test) {
    let receiver = Receiver::answering(|post| {
        let fails = post.attempt() == Some(1) && post.event() == Some("order.created");
        Answer::status(if fails { 500 } else { 200 })
    });
    let settings = [("WEBHOOK_ORDER", "chat"), ("WEBHOOK_RETRY_DELAY", "400")];
    let pair = test.pair(receiver.await, &settings).await;
    for (event, key) in [
        ("order.created", "7"),
        ("order.created", "8"),
        ("order.paid", "7"),
        ("order.paid", "8"),
        ("other", "9"),
    ] {
        let headers = [("x-webhook-key", key)];
        let body = json!({"event": event, "data": {"key": key}}).to_string();
        pair.post_with(&headers, body).await.accepted_id();
    }
    let posts = pair.receiver.wait_for(7, AT_LAST).await;
    let of = |key: &str| -> Vec<String> {
        let data = format!(r#""key":"{key}""#);
        let is_of =
            |post: &&std::sync::Arc<Post>| String::from_utf8_lossy(&post.body).contains(&data);
        let events = posts.iter().filter(is_of);
        events
            .filter_map(|post| post.event().map(str::to_owned))
            .collect()
    };
    for key in ["7", "8"] {
        assert_eq!(
            of(key),
            ["order.created", "order.created", "order.paid"],
            "{key}"
        );
    }
    assert_eq!(of("9"), ["other"]);
}

/// Shows that the other tests would notice a lost order.
async fn without_order(test: Test) {
    let settings = [("WEBHOOK_RETRY_DELAY", "300")];
    let pair = test
        .pair(Receiver::answering(answer).await, &settings)
        .await;
    let chats = Chats {
        chats: 10,
        each: 20,
        senders: 10,
    };
    chats.post(&pair.producer.base_url()).await;
    let posts = pair
        .receiver
        .wait_until("all events", AT_LAST, |posts| {
            chats.order(posts, fails_once).missing == 0
        })
        .await;
    let found = chats.order(&posts, fails_once);
    assert!(found.inverted_successes > 0, "{found}");
}
