//! Jobs of the console that a killed program had almost done: what it had sent and not yet
//! counted is not sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use wahook_embedded::{EmbeddedOperatorState, open_dead_letters};
use wahook_operator_state::{Job, JobReport, JobStore, JobWork, NewJob, Next, Progress};
use wahook_queue::{DeadLetters, Outgoing, Publisher, Topology};
use wahook_runtime::clock;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::console::{Console, borrowed};
use crate::system::System;

const EVENTS: usize = 20;
const JOB: &str = "job-of-the-killed";

/// Start of the job's continuation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resumed {
    /// While the events are in the queue or in delivery.
    WithTheProgram,
    /// After all events were delivered.
    AfterTheDeliveries,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_redrives_of_a_killed_program_are_not_repeated() {
    check("redrive", "{}", Resumed::WithTheProgram).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivered_redrives_of_a_killed_program_are_not_repeated() {
    check("redrive", "{}", Resumed::AfterTheDeliveries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_redeliveries_of_a_killed_program_are_not_repeated() {
    let order = r#"{"to":null,"rate":1000}"#;
    check("redelivery", order, Resumed::WithTheProgram).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivered_redeliveries_of_a_killed_program_are_not_repeated() {
    let order = r#"{"to":null,"rate":1000}"#;
    check("redelivery", order, Resumed::AfterTheDeliveries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redeliveries_are_queued_once_however_often_the_program_is_killed() {
    let (receiver, works) = Receiver::switched().await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let mut program = system.start().await;
    let mut ids = Vec::new();
    for _ in 0..EVENTS {
        ids.push(system.ended("call", "failed").await);
    }
    receiver.forget();
    works.store(true, Ordering::Relaxed);
    console.post("endpoints/default/pause", &json!({})).await;
    program.wait_logged("endpoint paused by an operator").await;
    let order = json!({ "ids": ids, "rate": 5 });
    let started = console.post("redeliveries", &order).await;
    let queued = "SELECT count(*) FROM messages WHERE queue = 'wahook.deliver.default'";
    for least in [4, 6, 8] {
        eventually(AT_LAST, "events in the queue", || async {
            (system.count(queued) >= least).then_some(())
        })
        .await;
        program.kill9().await;
        // Another claim would wait for the end of the lease, 20 s.
        let end = "UPDATE wahookjobs SET claimedUntil = 0";
        system.data().execute(end, []).unwrap();
        program = system.start().await;
    }
    let job = console.end_of(&started).await;
    assert_eq!(job["done"], EVENTS, "{job}");
    let all = i64::try_from(EVENTS).unwrap();
    assert_eq!(system.count(queued), all);
    console.post("endpoints/default/resume", &json!({})).await;
    await_empty_queue(&system).await;
    for id in &ids {
        assert_eq!(receiver.posts_of(id).len(), 1, "{id}");
    }
}

async fn check(kind: &str, order: &str, resumed: Resumed) {
    let works = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&works);
    let receiver = Receiver::answering(move |_: &Post| {
        if switch.load(Ordering::Relaxed) {
            // The job is continued while the requests are in flight.
            Answer::status(200).after(Duration::from_secs(3))
        } else {
            Answer::status(500)
        }
    })
    .await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let program = system.start().await;
    let mut ids = Vec::new();
    for _ in 0..EVENTS {
        ids.push(system.ended("call", "failed").await);
    }
    program.kill9().await;
    receiver.forget();
    works.store(true, Ordering::Relaxed);

    let jobs = EmbeddedOperatorState::open(&system.path("wahook.db")).unwrap();
    begin_job(&jobs, kind, order, &ids).await;
    publish_without_removal(&system).await;
    if resumed == Resumed::WithTheProgram {
        release_job(&jobs).await;
    }
    let _program = system.start().await;
    if resumed == Resumed::AfterTheDeliveries {
        await_empty_queue(&system).await;
        release_job(&jobs).await;
    }
    let path = format!("jobs/{JOB}");
    let job = eventually(AT_LAST, "the end of the job", || async {
        Some(console.get(&path).await).filter(|job| job["state"] != "running")
    })
    .await;
    let (state, done) = (&job["state"], &job["done"]);
    assert_eq!((state, done), (&json!("done"), &json!(EVENTS)), "{job}");
    await_empty_queue(&system).await;
    for id in &ids {
        assert_eq!(receiver.posts_of(id).len(), 1, "{id}");
    }
    let dead = if kind == "redrive" { 0 } else { EVENTS };
    // The store writes acks in batches.
    eventually(AT_LAST, "the removal of dead letters", || async {
        (console.get("dead-letters").await["total"] == dead).then_some(())
    })
    .await;
}

/// Adds a job and claims it, as the killed program did.
async fn begin_job(jobs: &EmbeddedOperatorState, kind: &str, order: &str, ids: &[String]) {
    let items = match kind {
        "redelivery" => ids.iter().map(|id| format!("{id}/default")).collect(),
        _ => Vec::new(),
    };
    let job = Job {
        id: JOB.to_owned(),
        kind: kind.to_owned(),
        who: "ann".to_owned(),
        count: EVENTS.try_into().unwrap(),
        created_at: clock::now(),
        progress: Progress::default(),
        is_cancelled: false,
        end: None,
    };
    let order = order.to_owned();
    assert!(jobs.add(&NewJob { job, order, items }).await.unwrap());
    jobs.claim("killed").await.unwrap().unwrap();
}

/// Ends the lease of the killed program's claim.
async fn release_job(jobs: &EmbeddedOperatorState) {
    let report = JobReport {
        job: JOB.to_owned(),
        claim: "killed".to_owned(),
        progress: Progress::default(),
        next: Next::Release,
    };
    jobs.report(&report).await.unwrap();
}

/// Publishes all dead letters, and ends before one is removed.
async fn publish_without_removal(system: &System) {
    let broker = open_dead_letters(&system.path("wahook.db")).unwrap();
    let mut letters = DeadLetters::open(&broker, "test").await.unwrap();
    let (publisher, _task) = Publisher::start(broker, "test", Topology::default(), AT_LAST);
    let mut published = 0;
    while let Some((letter, _receipt)) = letters.next().await.unwrap() {
        let (event, endpoint) = (letter.content.unwrap(), letter.endpoint.unwrap());
        let redriven = Outgoing::redrive(&event, &endpoint, clock::now());
        publisher.publish(redriven).await.unwrap();
        published += 1;
    }
    assert_eq!(published, EVENTS);
}

async fn await_empty_queue(system: &System) {
    let left = "SELECT (SELECT count(*) FROM messages WHERE queue = 'wahook.deliver.default') \
                + (SELECT count(*) FROM waiting)";
    eventually(AT_LAST, "the deliveries", || async {
        (system.count(left) == 0).then_some(())
    })
    .await;
}
