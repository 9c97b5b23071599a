//! Jobs of the console within `wahook` that is killed.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::Program;
use wahook_tests::receiver::Receiver;

use crate::console::{Console, borrowed};
use crate::system::System;

const EVENTS: usize = 500;

/// System whose receiver works again, after the failure of all events.
struct Stage {
    receiver: Receiver,
    console: Console,
    system: System,
    program: Program,
    /// Ids of the events.
    ids: Vec<String>,
}

impl Stage {
    async fn new() -> Self {
        let (receiver, works) = Receiver::switched().await;
        let (console, settings) = Console::new();
        let system = System::new(&receiver, &borrowed(&settings));
        let program = system.start().await;
        let ids = failures(&system).await;
        receiver.forget();
        works.store(true, Ordering::Relaxed);
        Self {
            receiver,
            console,
            system,
            program,
            ids,
        }
    }

    /// Starts a job for all events.
    async fn start(&self, path: &str, order: &Value) -> Value {
        let started = self.console.post(path, order).await;
        assert_eq!(started["count"], EVENTS, "{started}");
        started
    }

    /// Kills the program after some posts, and starts it again. Returns the number of posts
    /// before.
    async fn restart_after(&mut self, posts: usize) -> usize {
        self.receiver.wait_for(posts, AT_LAST).await;
        self.program.kill9().await;
        let posts = self.receiver.count();
        self.program = self.system.start().await;
        posts
    }

    async fn wait_for_all(&self) {
        eventually(AT_LAST, "all events", || async {
            let mut ids = self.ids.iter();
            ids.all(|id| !self.receiver.posts_of(id).is_empty())
                .then_some(())
        })
        .await;
    }
}

/// Sends events that all fail, and returns their ids.
async fn failures(system: &System) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..EVENTS {
        ids.push(system.send("call").await);
    }
    let failed = "SELECT count(*) FROM webhooklogs WHERE status = 'failed'";
    eventually(AT_LAST, "the failures", || async {
        (system.count(failed) == i64::try_from(EVENTS).unwrap()).then_some(())
    })
    .await;
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redelivery_of_a_killed_program_is_continued_without_loss() {
    let mut stage = Stage::new().await;
    let filter = json!({ "status": "failed", "event": "call", "since": "1h" });
    let order = json!({ "filter": filter, "rate": 20 });
    let started = stage.start("redeliveries", &order).await;
    let posts = stage.restart_after(EVENTS / 2).await;
    assert!(posts < EVENTS, "killed too late");
    let job = stage.console.end_of(&started).await;
    let all = json!(EVENTS);
    assert_eq!(
        (&job["state"], &job["done"]),
        (&json!("done"), &all),
        "{job}"
    );
    stage.wait_for_all().await;
    for id in &stage.ids {
        let posts = stage.receiver.posts_of(id);
        assert!(posts.len() <= 2, "{id}: {} posts", posts.len());
        assert_eq!(posts[0].header("x-webhook-redelivery"), Some("true"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redrive_of_a_killed_program_is_continued_without_loss() {
    let mut stage = Stage::new().await;
    let started = stage
        .start("dead-letters/redrive", &json!({ "filter": {} }))
        .await;
    stage.restart_after(1).await;
    let job = stage.console.end_of(&started).await;
    assert_eq!(job["state"], "done", "{job}");
    stage.wait_for_all().await;
    // Once more if it was in delivery.
    for id in &stage.ids {
        let posts = stage.receiver.posts_of(id).len();
        assert!(posts <= 2, "{id}: {posts} posts");
    }
    // The store writes acks in batches.
    eventually(AT_LAST, "no dead letter", || async {
        (stage.console.get("dead-letters").await["total"] == 0).then_some(())
    })
    .await;
}
