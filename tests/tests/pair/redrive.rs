//! Commands of operators for dead letters.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::{Pair, SECRET};
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Receiver};

use crate::world::{Test, Tests};

/// Dead-letters each event after its first attempt.
const NO_RETRIES: (&str, &str) = ("WEBHOOK_RETRY_ATTEMPTS", "0");

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_redriven_event_is_delivered_with_its_id_and_its_record_keeps_the_history",
        delivered,
    );
    tests.add(
        "a_redriven_event_that_fails_again_is_retried_and_dead_lettered_again",
        fails_again,
    );
    tests.add("only_selected_dead_letters_are_redriven", selected);
    tests.add(
        "discard_requires_a_selection_and_removes_nothing_else",
        discard,
    );
    tests.add("a_killed_redrive_loses_nothing", killed);
    tests.add("an_undecodable_dead_letter_is_listed_and_kept", undecodable);
}

/// Starts a receiver that answers 500 until the switch is on.
async fn recovered_by(switch: &Arc<AtomicBool>) -> Receiver {
    let recovered = Arc::clone(switch);
    Receiver::answering(move |_| {
        Answer::status(if recovered.load(Ordering::Relaxed) {
            200
        } else {
            500
        })
    })
    .await
}

async fn start(pair: &Pair, arguments: &[&str]) -> Command {
    let arguments = [&["dead"], arguments].concat();
    let settings = [("AMQP_URL", pair.place().amqp_url.as_str())];
    Command::start(ProgramName::Consumer, &arguments, &settings).await
}

async fn run(pair: &Pair, arguments: &[&str]) -> Ran {
    start(pair, arguments).await.finish().await
}

async fn listed(pair: &Pair) -> Vec<Value> {
    let ran = run(pair, &["list", "--json"]).await;
    let lines = ran.printed().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Lists this number of dead letters, after the broker has put back those that an ended command had
/// taken.
async fn listed_again(pair: &Pair, expected: usize) -> Vec<Value> {
    eventually(AT_LAST, "the dead letters", || async {
        let listed = listed(pair).await;
        (listed.len() == expected).then_some(listed)
    })
    .await
}

/// Posts events of these names and waits until all have failed.
async fn dead(pair: &Pair, names: &[&str]) -> Vec<String> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(pair.post(&json!({"event": name})).await.accepted_id());
    }
    for id in &ids {
        pair.wait_record(id, AT_LAST, has_status("failed")).await;
    }
    ids
}

fn has_status(status: &'static str) -> impl Fn(&Document) -> bool {
    move |record| record.get_str("status").ok() == Some(status)
}

async fn delivered(test: Test) {
    let recovered = Arc::new(AtomicBool::new(false));
    let settings = [("WEBHOOK_RETRY_DELAY", "100")];
    let pair = test.pair(recovered_by(&recovered).await, &settings).await;
    let ids = dead(&pair, &["call"]).await;
    let id = ids[0].as_str();

    let dead_letters = listed(&pair).await;
    assert_eq!(dead_letters.len(), 1);
    assert_eq!(dead_letters[0]["id"], id);
    assert_eq!(dead_letters[0]["endpoint"], "default");
    assert_eq!(dead_letters[0]["attempts"], 4);
    assert_eq!(dead_letters[0]["reason"], "answered 500");
    let shown = run(&pair, &["show", id]).await;
    assert!(shown.printed().contains(r#"{"event":"call","data":{},"#));
    listed_again(&pair, 1).await;

    recovered.store(true, Ordering::Relaxed);
    let redriven = run(&pair, &["redrive", "--all"]).await;
    assert_eq!(redriven.printed(), "1 of 1 dead letters redriven\n");
    let record = pair.wait_record(id, AT_LAST, has_status("success")).await;
    assert_eq!(record.get_i32("retryCount").ok(), Some(0));
    assert_eq!(record.get_array("attempts").unwrap().len(), 5);
    let posts = pair.receiver.posts_of(id);
    assert_eq!(posts.len(), 5);
    assert_eq!(posts[4].attempt(), Some(1));
    assert_eq!(posts[4].body, posts[0].body);
    assert!(posts[4].verify(SECRET).is_valid());
    assert!(listed(&pair).await.is_empty());
}

async fn fails_again(test: Test) {
    // Long enough for the end of the command and a look at the record.
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "1"),
        ("WEBHOOK_RETRY_DELAY", "10000"),
    ];
    let never = Arc::new(AtomicBool::new(false));
    let pair = test.pair(recovered_by(&never).await, &settings).await;
    let ids = dead(&pair, &["call"]).await;
    run(&pair, &["redrive", "--all"]).await.printed();
    pair.wait_record(&ids[0], AT_LAST, has_status("retrying"))
        .await;
    let record = pair
        .wait_record(&ids[0], AT_LAST, has_status("failed"))
        .await;
    assert_eq!(record.get_i32("retryCount").ok(), Some(1));
    assert_eq!(record.get_array("attempts").unwrap().len(), 4);
    assert_eq!(pair.receiver.posts_of(&ids[0]).len(), 4);
    assert_eq!(listed(&pair).await.len(), 1);
}

async fn selected(test: Test) {
    let recovered = Arc::new(AtomicBool::new(false));
    let pair = test
        .pair(recovered_by(&recovered).await, &[NO_RETRIES])
        .await;
    dead(&pair, &["call", "ready", "call", "ready", "call"]).await;
    recovered.store(true, Ordering::Relaxed);

    let nothing = run(&pair, &["redrive"]).await;
    assert_eq!(nothing.status.code(), Some(1));
    assert!(nothing.stderr.contains("--all"), "{}", nothing.stderr);
    let preview = run(&pair, &["redrive", "--event", "ready", "--dry-run"]).await;
    assert_eq!(preview.printed(), "2 of 5 dead letters would be redriven\n");
    listed_again(&pair, 5).await;
    assert_eq!(
        run(&pair, &["redrive", "--older-than", "1h"])
            .await
            .printed(),
        "0 of 5 dead letters redriven\n"
    );
    listed_again(&pair, 5).await;

    let limited = [
        "redrive",
        "--event",
        "call",
        "--limit",
        "2",
        "--newer-than",
        "1h",
    ];
    run(&pair, &limited).await.printed();
    pair.receiver.wait_for(7, AT_LAST).await;
    let left = listed_again(&pair, 3).await;
    let left: Vec<_> = left.iter().map(|l| l["event"].as_str().unwrap()).collect();
    assert_eq!(left.iter().filter(|event| **event == "ready").count(), 2);
}

async fn discard(test: Test) {
    let never = Arc::new(AtomicBool::new(false));
    let pair = test.pair(recovered_by(&never).await, &[NO_RETRIES]).await;
    let ids = dead(&pair, &["call", "ready"]).await;
    assert_eq!(run(&pair, &["discard"]).await.status.code(), Some(1));
    let preview = run(&pair, &["discard", "--id", &ids[0], "--dry-run"]).await;
    assert_eq!(
        preview.printed(),
        "1 of 2 dead letters would be discarded\n"
    );
    listed_again(&pair, 2).await;
    run(&pair, &["discard", "--id", &ids[0]]).await.printed();
    let left = listed_again(&pair, 1).await;
    assert_eq!(left[0]["id"], ids[1].as_str());
}

async fn killed(test: Test) {
    const EVENTS: usize = 200;
    let recovered = Arc::new(AtomicBool::new(false));
    // The failures would pause the endpoint, and its events would wait.
    let settings = [NO_RETRIES, ("WEBHOOK_CIRCUIT", "off")];
    let pair = test.pair(recovered_by(&recovered).await, &settings).await;
    let ids: BTreeSet<String> = dead(&pair, &["call"; EVENTS]).await.into_iter().collect();
    recovered.store(true, Ordering::Relaxed);
    let redrive = start(&pair, &["redrive", "--all", "--rate", "5"]).await;
    pair.receiver.wait_for(EVENTS + 40, AT_LAST).await;
    redrive.kill9().await;
    // The broker requeues the dead letters once the connection is closed.
    let rest = eventually(AT_LAST, "the other dead letters", || async {
        let left = listed(&pair).await;
        (!left.is_empty()).then_some(left)
    })
    .await;
    assert!(rest.len() < EVENTS, "{} dead letters are left", rest.len());
    // Repeated, because the broker may not have requeued all of them yet.
    eventually(AT_LAST, "the redrive of all", || async {
        run(&pair, &["redrive", "--all"]).await.printed();
        let left = doc! { "status": { "$ne": "success" } };
        (pair.log().count_documents(left).await.ok()? == 0).then_some(())
    })
    .await;
    for id in &ids {
        pair.wait_record(id, AT_LAST, has_status("success")).await;
    }
    assert!(listed(&pair).await.is_empty());
    let twice = pair.receiver.posts().len() - 2 * EVENTS;
    assert!(
        twice <= 64,
        "{twice} duplicates: more than the dead letters in flight"
    );
}

async fn undecodable(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let (connection, channel) = crate::dead_letters::channel(&pair).await;
    let queue = "wahook.deliver.default".into();
    let options = lapin::options::BasicPublishOptions::default();
    let properties = lapin::BasicProperties::default().with_message_id("odd".into());
    let publish = channel.basic_publish("".into(), queue, options, b"\x1b[2J", properties);
    publish.await.unwrap().await.unwrap();
    let dead_letters = eventually(AT_LAST, "the dead letter", || async {
        Some(listed(&pair).await).filter(|listed| !listed.is_empty())
    })
    .await;
    assert_eq!(dead_letters[0]["id"], "odd");
    assert_eq!(dead_letters[0]["endpoint"], "default", "from x-death");
    let reason = dead_letters[0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("undecodable: "), "{reason}");
    let redriven = run(&pair, &["redrive", "--all"]).await;
    assert_eq!(redriven.status.code(), Some(1));
    assert!(
        redriven.stdout.contains("1 undecodable, kept"),
        "{}",
        redriven.stdout
    );
    let shown = run(&pair, &["show", "odd"]).await;
    assert!(shown.printed().contains(r"\u{1b}[2J"), "{}", shown.stdout);
    connection.close(200, "done".into()).await.unwrap();
}
