//! Events that are queued for an endpoint when it is removed from the settings.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::readiness::wait_noted;
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::tcp_proxy::{Network, TcpProxy};

use crate::several::Several;
use crate::world::{Test, Tests};

const STRANDED: &str = "wahook_endpoint_stranded_messages";
const OLD: &str = "wahook.deliver.old";
const RENAMED: &str = "renamed.toml";

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "events_of_a_renamed_endpoint_are_reported_and_moved_once",
        renamed,
    );
    tests.add(
        "events_of_a_dropped_endpoint_are_dead_letters_that_another_endpoint_can_get",
        dropped,
    );
    tests.add("a_killed_move_loses_nothing", killed);
    tests.add(
        "a_move_whose_connection_breaks_keeps_the_rest",
        broken_connection,
    );
    tests.add(
        "a_retry_that_waited_for_a_removed_endpoint_is_moved_with_its_attempt",
        retry,
    );
    tests.add(
        "an_endpoint_of_an_earlier_version_is_found_by_its_deliveries",
        earlier_version,
    );
}

fn one(name: &str, receiver: &Receiver, more: &str) -> String {
    let url = receiver.url();
    format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n")
}

/// Queues events for a disabled endpoint `old`, and starts a consumer with `new` instead.
async fn rename(test: &Test, receiver: &Receiver, events: usize) -> (Several, Program) {
    let old = one("old", receiver, "enabled = false\nevents = [\"order.*\"]");
    let mut several = Several::start(test, 1, &old).await;
    several.batch("order.made", events).await;
    let consumer = start_renamed(&mut several, receiver).await;
    (several, consumer)
}

async fn start_renamed(several: &mut Several, receiver: &Receiver) -> Program {
    let old = several.consumers.remove(0);
    old.terminate();
    assert!(old.wait_exit(AT_LAST).await.success());
    let new = one("new", receiver, "events = [\"order.*\"]");
    several.another(RENAMED, &new).await
}

async fn start(several: &Several, arguments: &[&str]) -> Command {
    start_at(several, &several.place.amqp_url, arguments).await
}

async fn start_at(several: &Several, amqp_url: &str, arguments: &[&str]) -> Command {
    let file = several.path(RENAMED).display().to_string();
    let settings = [
        ("AMQP_URL", amqp_url),
        ("MONGODB_URI", several.place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", several.place.database.as_str()),
        ("WEBHOOK_ENDPOINTS", file.as_str()),
    ];
    Command::start(ProgramName::Consumer, arguments, &settings).await
}

async fn run(several: &Several, arguments: &[&str]) -> Ran {
    start(several, arguments).await.finish().await
}

fn rows(listed: &Ran) -> Vec<Value> {
    let lines = listed.printed().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn until_stranded(consumer: &Program, events: f64) {
    let old = [("endpoint", "old")];
    let are_counted = |m: &wahook_tests::program::Metrics| m.sum_where(STRANDED, &old) == events;
    consumer
        .wait_metrics("the stranded events", AT_LAST, are_counted)
        .await;
}

fn ids(receiver: &Receiver) -> BTreeSet<String> {
    let posts = receiver.posts();
    let ids = posts.iter().filter_map(|post| post.id());
    ids.map(str::to_owned).collect()
}

async fn renamed(test: Test) {
    let receiver = Receiver::start().await;
    let (several, consumer) = rename(&test, &receiver, 20).await;
    until_stranded(&consumer, 20.0).await;
    consumer
        .wait_logged("for an endpoint that is not configured")
        .await;
    wait_noted(&consumer.base_url(), "old (20)").await;

    // The queue of the old endpoint is still bound, so it receives copies of new events.
    several.batch("order.paid", 5).await;
    receiver.wait_for(5, AT_LAST).await;
    eventually(AT_LAST, "five records", || async {
        (several.statuses("new").await.get("success") == Some(&5)).then_some(())
    })
    .await;
    let listed = rows(&run(&several, &["endpoints", "list", "--json"]).await);
    let old = listed.iter().find(|row| row["endpoint"] == "old").unwrap();
    assert_eq!(old["configured"], false);
    assert_eq!(old["queued"], 25);
    for (arguments, reason) in [
        (
            ["endpoints", "move", "new", "old"],
            "new is still configured",
        ),
        (
            ["endpoints", "move", "old", "other"],
            "other is not configured",
        ),
    ] {
        let refused = run(&several, &arguments).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.contains(reason), "{refused:?}");
    }

    let moved = run(&several, &["endpoints", "move", "old", "new"]).await;
    let expected = "20 events of old moved; 5 removed, because the other endpoint has them";
    assert!(moved.printed().contains(expected), "{moved:?}");
    receiver.wait_for(25, AT_LAST).await;
    assert_eq!(ids(&receiver).len(), 25);
    let again = run(&several, &["endpoints", "move", "old", "new"]).await;
    assert!(
        again.printed().contains("0 events of old moved"),
        "{again:?}"
    );
    several.batch("order.paid", 3).await;
    receiver.wait_for(28, AT_LAST).await;
    assert_eq!(several.depth(OLD).await, 0, "the bindings are removed");
    assert_eq!(receiver.count(), 28, "nothing was delivered twice");
}

async fn dropped(test: Test) {
    let receiver = Receiver::start().await;
    let (several, _consumer) = rename(&test, &receiver, 4).await;
    let unconfirmed = run(&several, &["endpoints", "drop", "old"]).await;
    assert_eq!(unconfirmed.status.code(), Some(1));
    assert!(unconfirmed.stderr.contains("--yes"), "{unconfirmed:?}");
    assert_eq!(several.depth(OLD).await, 4);
    let dropped = run(&several, &["endpoints", "drop", "old", "--yes"]).await;
    let expected = "4 events of old made dead letters";
    assert!(dropped.printed().contains(expected), "{dropped:?}");
    let letters = rows(&run(&several, &["dead", "list", "--json"]).await);
    assert_eq!(letters.len(), 4);
    for letter in &letters {
        assert_eq!(letter["endpoint"], "old");
        assert!(letter["died_at"].is_string(), "{letter}");
        let reason = letter["reason"].as_str().unwrap();
        assert!(reason.contains("old was removed"), "{reason}");
    }
    let reconciled = run(&several, &["reconcile", "--since", "1h"]).await;
    assert_eq!(reconciled.status.code(), Some(0), "{reconciled:?}");
    let redrive = ["dead", "redrive", "--endpoint", "old", "--to", "new"];
    let redriven = run(&several, &redrive).await;
    assert_eq!(redriven.printed(), "4 of 4 dead letters redriven\n");
    receiver.wait_for(4, AT_LAST).await;
    let dead = letters.iter().filter_map(|letter| letter["id"].as_str());
    assert_eq!(ids(&receiver), dead.map(str::to_owned).collect());
}

async fn killed(test: Test) {
    const EVENTS: usize = 1_000;
    let receiver = Receiver::start().await;
    let (several, _consumer) = rename(&test, &receiver, EVENTS).await;
    let moving = start(&several, &["endpoints", "move", "old", "new"]).await;
    receiver.wait_for(100, AT_LAST).await;
    moving.kill9().await;
    repeat_until_moved(&several, &receiver, EVENTS).await;
}

/// Repeats a move that was interrupted. The broker requeues what the command held once its
/// connection is closed.
async fn repeat_until_moved(several: &Several, receiver: &Receiver, events: usize) {
    eventually(AT_LAST, "all events", || async {
        run(several, &["endpoints", "move", "old", "new"])
            .await
            .printed();
        (ids(receiver).len() == events && several.depth(OLD).await == 0).then_some(())
    })
    .await;
    let twice = receiver.count() - events;
    assert!(twice <= 100, "{twice} duplicates: more than one batch");
}

async fn broken_connection(test: Test) {
    // Many more than the receiver gets before the connection breaks.
    const EVENTS: usize = 5_000;
    let receiver = Receiver::start().await;
    let (several, _consumer) = rename(&test, &receiver, EVENTS).await;
    let (network, through_proxy) = TcpProxy::to_server_of(&several.place.amqp_url).await;
    // Much slower than the connection is broken.
    network.set(Network::Slow(Duration::from_millis(50)));
    let moving = start_at(
        &several,
        &through_proxy,
        &["endpoints", "move", "old", "new"],
    )
    .await;
    receiver.wait_for(100, AT_LAST).await;
    network.set(Network::Reset);
    let broken = moving.finish().await;
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(broken.stderr.contains("repeat the command"), "{broken:?}");
    repeat_until_moved(&several, &receiver, EVENTS).await;
}

async fn retry(test: Test) {
    let receiver = Receiver::answering(|post| {
        Answer::status(if post.attempt() == Some(1) { 500 } else { 200 })
    });
    let receiver = receiver.await;
    let old = one("old", &receiver, "retry_delay = 10000");
    let mut several = Several::start(&test, 1, &old).await;
    let id = several.accepted("order.made").await;
    receiver.wait_for(1, AT_LAST).await;
    let consumer = start_renamed(&mut several, &receiver).await;
    eventually(AT_LAST, "the retry", || async {
        (several.depth(OLD).await == 1).then_some(())
    })
    .await;
    let moved = run(&several, &["endpoints", "move", "old", "new"]).await;
    assert!(
        moved.printed().contains("1 events of old moved"),
        "{moved:?}"
    );
    let posts = receiver.wait_for(2, AT_LAST).await;
    assert_eq!((posts[1].id(), posts[1].attempt()), (Some(&*id), Some(2)));
    drop(consumer);
}

async fn earlier_version(test: Test) {
    let receiver = Receiver::start().await;
    let mut several = Several::start(&test, 1, &one("old", &receiver, "")).await;
    several.batch("order.made", 1).await;
    eventually(AT_LAST, "a record", || async {
        (several.statuses("old").await.get("success") == Some(&1)).then_some(())
    })
    .await;
    several
        .reload(&one("old", &receiver, "enabled = false"))
        .await;
    eventually(AT_LAST, "the end of its subscription", || async {
        (several.consumers_of(OLD).await == 0).then_some(())
    })
    .await;
    several.batch("order.made", 3).await;
    several.delete_queue("wahook.endpoints").await;
    let consumer = start_renamed(&mut several, &receiver).await;
    until_stranded(&consumer, 3.0).await;
    tokio::time::timeout(AT_LAST, run(&several, &["endpoints", "move", "old", "new"]))
        .await
        .unwrap()
        .printed();
    receiver.wait_for(4, AT_LAST).await;
}
