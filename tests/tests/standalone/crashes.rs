//! `kill -9` of the whole system under load, again and again: whatever was answered 202 is
//! delivered or dead, and logged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use std::{env, fmt};

use wahook_tests::eventually::eventually;
use wahook_tests::load::Load;
use wahook_tests::pair::SECRET;
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::system::System;

const IN_THE_END: Duration = Duration::from_secs(120);
const SENDERS: usize = 16;
/// Events between a start and the next kill, at the least: it has worked in between.
const ENOUGH: usize = 40;

/// `WAHOOK_KILLS`, else what every run of the tests can bear.
fn kills() -> usize {
    let asked = env::var("WAHOOK_KILLS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// By the event's number: every third fails at first, every fiftieth always.
fn fails(post: &Post) -> bool {
    let n = number(post);
    n % 50 == 7 || (n.is_multiple_of(3) && post.attempt() == Some(1))
}

fn number(post: &Post) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(&post.body).unwrap();
    body["data"]["n"].as_u64().unwrap()
}

/// What must hold in the end, counted.
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
             {lost} lost, {unlogged} not logged as they ended, {altered} altered"
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_9_at_any_moment_loses_nothing_that_was_answered_202() {
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
        eventually(IN_THE_END, "some load", || async {
            (load.accepted() >= enough).then_some(())
        })
        .await;
        // At another place of its work each time.
        tokio::time::sleep(Duration::from_millis(kill as u64 * 37 % 101)).await;
        program.kill9().await;
        program = system.start().await;
    }
    let accepted = load.stop().await;
    eventually(IN_THE_END, "nothing on its way", || async {
        let queued = "SELECT count(*) FROM messages WHERE queue <> 'wahook.dead'";
        let waiting = "SELECT count(*) FROM waiting";
        (system.count(queued) + system.count(waiting) == 0).then_some(())
    })
    .await;
    let sum = judge(&system, &receiver, &accepted);
    println!("{sum}");
    assert!(sum.lost.is_empty(), "{sum}: lost {:?}", sum.lost);
    assert!(sum.unlogged.is_empty(), "{sum}: {:?}", sum.unlogged);
    assert!(sum.altered.is_empty(), "{sum}: {:?}", sum.altered);
    assert!(sum.dead > 0 && sum.delivered > sum.dead, "{sum}");
    drop(program);
}

fn judge(system: &System, receiver: &Receiver, accepted: &BTreeSet<String>) -> Sum {
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
    let letters = system.pairs("SELECT event_id, queue FROM messages WHERE queue = 'wahook.dead'");
    let letters: BTreeSet<_> = letters.into_iter().map(|(id, _)| id).collect();
    let records = system.pairs("SELECT eventId, status FROM webhooklogs");
    let records: BTreeMap<_, _> = records.into_iter().collect();
    for id in accepted {
        let (delivered, dead) = (ended_well.contains(id.as_str()), letters.contains(id));
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
