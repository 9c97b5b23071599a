//! Repeated `kill -9` of the whole system under load: each event answered 202 is delivered or a
//! dead letter, and logged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use std::{env, fmt};

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::load::Load;
use wahook_tests::pair::SECRET;
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::system::System;

const SENDERS: usize = 16;
/// Minimum number of accepted events between a start and the next kill.
const ENOUGH: usize = 40;

/// Returns `WAHOOK_KILLS`, or a default that is short enough for every test run.
fn kills() -> usize {
    let set = env::var("WAHOOK_KILLS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// Returns true if the receiver rejects the post: every third event at the first attempt, every
/// fiftieth always.
fn fails(post: &Post) -> bool {
    let n = number(post);
    n % 50 == 7 || (n.is_multiple_of(3) && post.attempt() == Some(1))
}

fn number(post: &Post) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(&post.body).unwrap();
    body["data"]["n"].as_u64().unwrap()
}

/// Result of a run, in numbers of events.
#[derive(Debug, Default)]
struct Sum {
    kills: usize,
    accepted: usize,
    posts: usize,
    delivered: usize,
    dead: usize,
    lost: Vec<String>,
    unlogged: Vec<String>,
    altered: Vec<String>,
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kills,
            accepted,
            posts,
            delivered,
            dead,
            ..
        } = self;
        let (lost, unlogged, altered) = (self.lost.len(), self.unlogged.len(), self.altered.len());
        write!(
            f,
            "{kills} kills: {accepted} accepted, {posts} posts, {delivered} delivered, {dead} dead; \
             {lost} lost, {unlogged} without the right record, {altered} altered"
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_any_moment_loses_no_event_that_was_answered_202() {
    let receiver =
        Receiver::answering(|post| Answer::status(if fails(post) { 500 } else { 200 })).await;
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "2"),
        ("WEBHOOK_RETRY_DELAY", "150"),
        ("WEBHOOK_CIRCUIT", "off"),
    ];
    let system = System::new(&receiver, &settings);
    let mut program = system.start().await;
    let pause = Duration::from_millis(2);
    let load = Load::start_at(&system.events, SENDERS, pause, u64::MAX);
    for kill in 0..kills() {
        let enough = load.accepted() + ENOUGH;
        eventually(AT_LAST, "some load", || async {
            (load.accepted() >= enough).then_some(())
        })
        .await;
        // Varies the moment of the kill.
        tokio::time::sleep(Duration::from_millis(kill as u64 * 37 % 101)).await;
        program.kill9().await;
        program = system.start().await;
    }
    let accepted = load.stop().await;
    eventually(AT_LAST, "all queues empty", || async {
        let queued = "SELECT count(*) FROM messages WHERE queue <> 'wahook.dead'";
        let waiting = "SELECT count(*) FROM waiting";
        (system.count(queued) + system.count(waiting) == 0).then_some(())
    })
    .await;
    let sum = evaluate(&system, &receiver, &accepted);
    println!("{sum}");
    assert!(sum.lost.is_empty(), "{sum}: lost {:?}", sum.lost);
    assert!(sum.unlogged.is_empty(), "{sum}: {:?}", sum.unlogged);
    assert!(sum.altered.is_empty(), "{sum}: {:?}", sum.altered);
    assert!(sum.dead > 0 && sum.delivered > sum.dead, "{sum}");
    drop(program);
}

fn evaluate(system: &System, receiver: &Receiver, accepted: &BTreeSet<String>) -> Sum {
    let posts = receiver.posts();
    let mut sum = Sum {
        kills: kills(),
        accepted: accepted.len(),
        posts: posts.len(),
        ..Sum::default()
    };
    let mut first: BTreeMap<&str, &Post> = BTreeMap::new();
    let mut ended_well = BTreeSet::new();
    for post in &posts {
        let id = post.id().unwrap();
        let same = *first.entry(id).or_insert(post);
        if same.body != post.body || !post.verify(SECRET).is_valid() {
            sum.altered.push(id.to_owned());
        }
        if !fails(post) {
            ended_well.insert(id);
        }
    }
    let dead = system.pairs("SELECT event_id, queue FROM messages WHERE queue = 'wahook.dead'");
    let dead_letters: BTreeSet<_> = dead.into_iter().map(|(id, _)| id).collect();
    let records = system.pairs("SELECT eventId, status FROM webhooklogs");
    let records: BTreeMap<_, _> = records.into_iter().collect();
    for id in accepted {
        let (delivered, dead) = (ended_well.contains(id.as_str()), dead_letters.contains(id));
        sum.delivered += usize::from(delivered);
        sum.dead += usize::from(dead);
        if !delivered && !dead {
            sum.lost.push(id.clone());
        }
        let expected = if delivered { "success" } else { "failed" };
        if records.get(id).map(String::as_str) != Some(expected) {
            sum.unlogged.push(id.clone());
        }
    }
    sum
}
