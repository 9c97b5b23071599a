//! Order per chat in one process: failing receivers and repeated kills.

use std::time::Duration;

use wahook_tests::chats::{Chats, event_of, fails_once};
use wahook_tests::eventually::eventually;
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::system::System;

const IN_THE_END: Duration = Duration::from_secs(120);
const SETTINGS: [(&str, &str); 3] = [
    ("WEBHOOK_ORDER", "chat"),
    ("WEBHOOK_RETRY_DELAY", "200"),
    ("WEBHOOK_CIRCUIT", "off"),
];
const KILLS: usize = 8;

fn answer(post: &Post) -> Answer {
    Answer::status(if fails_once(post) { 500 } else { 200 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_each_chat_arrive_in_order_over_kills_of_the_process() {
    let chats = Chats {
        chats: 40,
        each: 50,
        senders: 8,
    };
    let receiver = Receiver::answering(answer).await;
    let system = System::new(&receiver, &SETTINGS);
    let mut program = system.start().await;
    let url = system.events.clone();
    let posting = tokio::spawn(async move { chats.post(&url).await });
    for kill in 1..=KILLS {
        let enough = kill * chats.chats * chats.each / (KILLS + 1);
        receiver.wait_for(enough, IN_THE_END).await;
        program.kill9().await;
        program = system.start().await;
    }
    posting.await.unwrap();
    eventually(IN_THE_END, "all events", || async {
        (chats.order(&receiver.posts(), fails_once).missing == 0).then_some(())
    })
    .await;
    let found = chats.order(&receiver.posts(), fails_once);
    assert!(found.is_kept(), "{found}");
    drop(program);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_chat_blocks_no_other_and_continues_after_its_dead_letter() {
    let chats = Chats {
        chats: 5,
        each: 10,
        senders: 5,
    };
    let always = |post: &Post| event_of(post) == (3, 0);
    let receiver =
        Receiver::answering(move |post| Answer::status(if always(post) { 500 } else { 200 }));
    let receiver = receiver.await;
    let mut settings = SETTINGS;
    settings[1].1 = "1500";
    let system = System::new(&receiver, &settings);
    let program = system.start().await;
    chats.post(&system.events).await;
    let posts = receiver
        .wait_until("all events", IN_THE_END, |posts| {
            chats.order(posts, always).missing == 1
        })
        .await;
    let found = chats.order(&posts, always);
    let inverted = (found.inverted_attempts, found.inverted_successes);
    assert_eq!(inverted, (0, 0), "{found}");
    let last = |event| posts.iter().rposition(|post| event_of(post) == event);
    for chat in [0, 1, 2, 4] {
        assert!(last((chat, 9)) < last((3, 0)), "chat {chat} was blocked");
    }
    drop(program);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_lane_are_delivered_after_the_order_is_removed() {
    let chats = Chats {
        chats: 20,
        each: 5,
        senders: 5,
    };
    let answers = |_: &Post| Answer::status(200).after(Duration::from_millis(30));
    let receiver = Receiver::answering(answers).await;
    let mut settings = SETTINGS.to_vec();
    settings.push(("WEBHOOK_CONCURRENCY", "1"));
    let mut system = System::new(&receiver, &settings);
    let program = system.start().await;
    chats.post(&system.events).await;
    program.kill9().await;
    let left = chats.chats * chats.each - receiver.count();
    assert!(left > 10, "{left} events are queued");
    let order = |(name, _): &&mut (String, String)| name == "WEBHOOK_ORDER";
    if let Some((_, value)) = system.settings.iter_mut().find(order) {
        "none".clone_into(value);
    }
    let program = system.start().await;
    eventually(IN_THE_END, "all events", || async {
        (chats.order(&receiver.posts(), |_| false).missing == 0).then_some(())
    })
    .await;
    drop(program);
}
