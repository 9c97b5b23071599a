//! The worst inputs for all programs, all at the same time, within the memory limits of the
//! shipped manifests: no program ends, health checks are answered, and everything accepted is
//! delivered.

mod backlog;
mod clients;
mod endpoints;
mod events;
mod health;
mod readers;
mod scale;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::process::memory;
use wahook_tests::world::{Test, Tests};

use crate::authority::Authority;
use backlog::Backlog;
use endpoints::HostileEndpoint;
use events::{Ids, Kind, post};
use health::Checks;
use scale::Scale;
use stage::{Limited, Stage};

const DELIVERED_WITHIN: Duration = Duration::from_secs(600);

pub(crate) fn add(tests: &mut Tests) {
    tests.add("hostile_soak_ends_within_the_memory_limits", |test| {
        soak(test, false)
    });
    tests.add(
        "hostile_soak_of_one_process_ends_within_the_memory_limits",
        |test| soak(test, true),
    );
}

async fn soak(test: Test, is_one_process: bool) {
    let scale = Scale::of_run();
    let good = Ids::start(Duration::ZERO).await;
    let slow = Ids::start(scale.slow_answer).await;
    let authority = Authority::new();
    let hostile = endpoints::start_all(&authority).await;
    let folder = RunFolder::temporary("soak").unwrap();
    let file = folder.join("endpoints.toml");
    let endpoints = stage::endpoints_file([&good.url(), &slow.url()], &hostile);
    std::fs::write(&file, endpoints).unwrap();
    let settings = [
        ("WEBHOOK_ENDPOINTS", file.display().to_string()),
        ("SSL_CERT_FILE", authority.file()),
    ];
    let stage = if is_one_process {
        Stage::one_process(&folder, &settings).await
    } else {
        Stage::distributed(&test.place(), &settings).await
    };

    let began = Instant::now();
    let say = |what: &str| eprintln!("{}, {:.0?}: {what}", stage.name, began.elapsed());
    let backlog = Backlog::fill(&stage, &scale, &slow, &good).await;
    say("the backlog waits; the attacks begin");
    let sent = [
        (Kind::Small, Arc::clone(&good)),
        (Kind::Large, Arc::clone(&slow)),
        (Kind::Attack, Ids::unread()),
    ];
    let answered = attack(&stage, &scale, &sent, &hostile, &backlog).await;
    say("the attacks have ended");
    for (kind, ids) in &sent {
        say(&format!("{kind:?} events: {} accepted", ids.accepted()));
    }
    slow.answer_at_once();
    until_delivered(&stage, &good, &slow).await;
    say("everything accepted is delivered");
    stage.programs.iter().for_each(assert_within_limit);
    say(&backlog.assert_reached(&scale, stage.consumer()));
    for (check, answers) in answered {
        say(&format!("{check}: answered {answers} times"));
        assert!(answers >= scale.least_answers, "{check}: {answers}");
    }
    for endpoint in &hostile {
        let (name, requests) = (endpoint.name, endpoint.requests());
        say(&format!("endpoint {name}: {requests} requests"));
        assert!(requests >= scale.least_requests, "{name}: {requests}");
    }
}

/// Sends events during all attacks. Returns the number of answers of each health check.
async fn attack(
    stage: &Stage,
    scale: &Scale,
    sent: &[(Kind, Arc<Ids>); 3],
    hostile: &[HostileEndpoint],
    backlog: &Backlog,
) -> Vec<(String, usize)> {
    let [(_, good), ..] = sent;
    let mut attacks = clients::start_all(stage.events, scale.idle);
    attacks.spawn(readers::run(stage.console, Arc::clone(good)));
    let checks = Checks::start(stage);
    let mut sending = JoinSet::new();
    for (kind, ids) in sent {
        let (kind, ids, server) = (*kind, Arc::clone(ids), stage.events);
        sending.spawn(async move { ids.send(server, kind).await });
    }
    let end = Instant::now() + scale.length;
    let is_over = || {
        let now = Instant::now();
        // A busy machine takes longer to reach the numbers.
        now >= end && (is_reached(scale, sent, hostile, &checks) || now >= end + AT_LAST)
    };
    while !is_over() {
        sleep(Duration::from_secs(1)).await;
        stage.assert_running();
        good.forget();
        backlog.note();
    }
    sending.shutdown().await;
    attacks.shutdown().await;
    checks.finish().await
}

/// Sends another event, and waits for the delivery of everything that was accepted.
async fn until_delivered(stage: &Stage, good: &Ids, slow: &Ids) {
    let after = json!({"event": "message_create", "data": {"after": "all"}}).to_string();
    let accepted = eventually(AT_LAST, "an event after the attacks", || async {
        stage.assert_running();
        post(stage.events, after.clone()).await
    });
    good.accept(accepted.await);
    good.accept_all_of(slow);
    eventually(DELIVERED_WITHIN, "everything accepted", || async {
        stage.assert_running();
        let missing = good.missing() + slow.missing();
        (missing == 0).then_some(())
    })
    .await;
}

/// Returns true if the attacks have reached the programs often enough.
fn is_reached(
    scale: &Scale,
    sent: &[(Kind, Arc<Ids>)],
    hostile: &[HostileEndpoint],
    checks: &Checks,
) -> bool {
    let mut sent = sent.iter();
    let mut requests = hostile.iter().map(HostileEndpoint::requests);
    let mut answers = checks.answers().map(|(_, answers)| answers);
    sent.all(|(_, ids)| ids.accepted() > 0)
        && requests.all(|requests| requests >= scale.least_requests)
        && answers.all(|answers| answers >= scale.least_answers)
}

fn assert_within_limit(limited: &Limited) {
    let Limited {
        program,
        limit,
        name,
    } = limited;
    let (_, peak) = memory(program.pid()).unwrap();
    let kib = limit.kib();
    eprintln!(
        "{name}: peak of {} of {} MiB, limited by {}",
        peak >> 10,
        kib >> 10,
        limit.kind()
    );
    assert!(peak < kib, "{name}: {peak} KiB");
    let log = program.stderr_so_far();
    assert!(!log.contains("panicked"), "{log}");
}
