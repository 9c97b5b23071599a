//! Order per chat in one process: failing receivers and repeated kills.

use std::time::Duration;

use wahook_tests::blocked_chat::BlockedChat;
use wahook_tests::chats::{Chats, event_of, fails_once};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::{Command, ProgramName};
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::system::System;

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
        receiver.wait_for(enough, AT_LAST).await;
        program.kill9().await;
        program = system.start().await;
    }
    posting.await.unwrap();
    eventually(AT_LAST, "all events", || async {
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
        .wait_until("all events", AT_LAST, |posts| {
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
    let answers = |_: &Post| Answer::status(200).after(Duration::from_millis(100));
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
    eventually(AT_LAST, "all events", || async {
        (chats.order(&receiver.posts(), |_| false).missing == 0).then_some(())
    })
    .await;
    drop(program);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_event_blocks_its_chat_over_a_kill_until_it_is_given_up_also_while_paused() {
    let chats = Chats {
        chats: 4,
        each: 5,
        senders: 4,
    };
    let always = |post: &Post| event_of(post) == (3, 0);
    let gone = move |post: &Post| Answer::status(if always(post) { 410 } else { 200 });
    let receiver = Receiver::answering(gone).await;
    let settings = [
        ("WEBHOOK_ORDER", "chat"),
        ("WEBHOOK_ON_EXHAUSTED", "hold"),
        ("WEBHOOK_RETRY_ATTEMPTS", "1"),
        ("WEBHOOK_RETRY_DELAY", "300"),
    ];
    let system = System::new(&receiver, &settings);
    let mut program = system.start().await;
    chats.post(&system.events).await;
    let others = (chats.chats - 1) * chats.each;
    let is_held = |posts: &[std::sync::Arc<Post>]| {
        let tried = posts.iter().filter(|post| always(post)).count();
        let left = chats.order(posts, always).missing;
        tried >= 3 && left == chats.chats * chats.each - others
    };
    receiver.wait_until("a held event", AT_LAST, is_held).await;
    program.kill9().await;
    program = system.start().await;
    // The next failures pause the endpoint; the next probe is due after five minutes.
    eventually(AT_LAST, "a pause by the circuit breaker", || async {
        let metrics = system.metrics().await;
        (metrics.sum("wahook_circuit_open") == 1.0).then_some(())
    })
    .await;
    assert_eq!(chats.order(&receiver.posts(), always).missing, chats.each);
    let held = "SELECT count(*) FROM webhooklogs WHERE eventId = '3-0' AND status = 'retrying' \
                AND retryCount > 2 AND nextAttemptAt IS NOT NULL";
    assert_eq!(system.count(held), 1);

    let arguments = ["endpoints", "give-up", "default", "--event", "3-0"];
    let settings = system.borrowed();
    let command = Command::start(ProgramName::Standalone, &arguments, &settings);
    let given = command.await.finish().await;
    assert!(given.printed().contains("is a dead letter"), "{given:?}");
    let failed = "SELECT eventId, errorMessage FROM webhooklogs WHERE status = 'failed'";
    let reason = "given up by an operator (command line)";
    assert_eq!(
        system.pairs(failed),
        [("3-0".to_owned(), reason.to_owned())]
    );
    let letters = "SELECT event_id, reason FROM messages WHERE queue = 'wahook.dead'";
    assert_eq!(system.pairs(letters), system.pairs(failed));
    assert_eq!(system.count("SELECT count(*) FROM wahookgiveups"), 0);
    // The next event of the chat is the probe that resumes the endpoint.
    let probe = ["endpoints", "probe", "default"];
    let command = Command::start(ProgramName::Standalone, &probe, &settings);
    command.await.finish().await.printed();
    eventually(AT_LAST, "the rest of the chat", || async {
        (chats.order(&receiver.posts(), always).missing == 1).then_some(())
    })
    .await;
    let found = chats.order(&receiver.posts(), always);
    assert_eq!(found.inverted_attempts, 0, "{found}");
    drop(program);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_events_behind_a_failing_one_block_no_other_chat_over_kills_of_the_process() {
    let chats = BlockedChat::new(1_000, 10, 10);
    let receiver = chats.receiver().await;
    let settings = [
        ("WEBHOOK_ORDER", "chat"),
        ("WEBHOOK_ON_EXHAUSTED", "hold"),
        ("WEBHOOK_RETRY_DELAY", "500"),
        ("WEBHOOK_CIRCUIT", "off"),
    ];
    let system = System::new(&receiver, &settings);
    let mut program = system.start().await;
    chats.post_first(&system.events, 0..chats.many).await;
    chats.post_others(&system.events).await;
    chats.until_taken(0, AT_LAST).await;
    // Once with the failing event in the lane, and once with all events in the slot.
    for failing in [0, 500] {
        chats.fail(failing);
        chats.until_taken(failing, AT_LAST).await;
        program.kill9().await;
        program = system.start().await;
        eventually(AT_LAST, "the parked key", || async {
            let metrics = system.metrics().await;
            (metrics.sum("wahook_lane_parked_keys") == 1.0).then_some(())
        })
        .await;
    }
    chats.repair();
    chats.until_taken(chats.many, AT_LAST).await;
    let found = chats.order(&receiver.posts());
    assert!(found.is_kept(), "{found}");
    eventually(AT_LAST, "an empty slot", || async {
        let metrics = system.metrics().await;
        (metrics.sum("wahook_lane_parked_keys") == 0.0).then_some(())
    })
    .await;
    drop(program);
}
