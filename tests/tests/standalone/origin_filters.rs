//! Endpoints that filter events by source, session and chat.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::program::{Metrics, Program};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const ANA: &str = "15550001111@c.us";
const TEAM: &str = "120363000000000001@g.us";
const FILTERED: &str = "wahook_events_filtered_total";

fn endpoint(name: &str, receiver: &Receiver, more: &str) -> String {
    let url = receiver.url();
    format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n")
}

/// Replaces the endpoints, and waits until they are in effect.
async fn reload(system: &System, program: &Program, endpoints: &str) {
    let applied =
        |metrics: &Metrics| metrics.sum_where("wahook_reloads_total", &[("result", "applied")]);
    let before = applied(&system.metrics().await);
    system.write_endpoints(endpoints);
    program.hang_up();
    until(system, "the reload", |metrics| applied(metrics) > before).await;
}

/// Posts an event as a gateway does, and returns its id.
async fn post(system: &System, source: &str, event: &Value) -> String {
    let request = http_client()
        .unwrap()
        .post(format!("{}/v1/in/{source}", system.events))
        .header("content-type", "application/json")
        .body(event.to_string());
    let answer = request.send().await.unwrap().bytes().await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

async fn post_chat(system: &System, chat: &str) -> String {
    let event = json!({"event": "message", "session": "main", "chatId": chat});
    post(system, "generic", &event).await
}

async fn until(system: &System, what: &str, is_enough: impl Fn(&Metrics) -> bool) -> Metrics {
    eventually(AT_LAST, what, || async {
        Some(system.metrics().await).filter(|metrics| is_enough(metrics))
    })
    .await
}

/// Waits until the endpoint has dropped exactly this number of events, and no event is queued.
async fn until_settled(system: &System, endpoint: &str, filtered: usize) {
    let label = [("endpoint", endpoint)];
    let metrics = until(system, "the filtered events", |metrics| {
        metrics.sum_where(FILTERED, &label) >= filtered as f64
    })
    .await;
    assert_eq!(metrics.sum_where(FILTERED, &label), filtered as f64);
    let left = "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM waiting)";
    eventually(AT_LAST, "the acks", || async {
        (system.count(left) == 0).then_some(())
    })
    .await;
}

fn ids(receiver: &Receiver) -> BTreeSet<String> {
    let posts = receiver.posts();
    posts
        .iter()
        .map(|post| post.id().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_endpoint_gets_the_events_of_its_sources_sessions_and_chats() {
    let (all, shop, ana) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let endpoints = [
        endpoint("all", &all, ""),
        endpoint(
            "shop",
            &shop,
            "sources = [\"generic\"]\nsessions = [\"shop-*\"]\ngroups = false",
        ),
        endpoint(
            "ana",
            &ana,
            "chats = [\"15550001111:7@s.whatsapp.net\"]\nsources = [\"generic\", \"gowa\"]",
        ),
    ];
    let system = System::with_endpoints(&all, &endpoints.concat());
    let _program = system.start().await;
    let (mut every, mut of_shop, mut of_ana) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (session, chat, is_of_shop, is_of_ana) in [
        ("shop-1", Some(ANA), true, true),
        ("shop-2", Some("15550001111@s.whatsapp.net"), true, true),
        ("main", Some(ANA), false, true),
        ("shop-1", Some(TEAM), false, false),
        ("shop-1", None, true, true),
    ] {
        let event = json!({"event": "message", "session": session, "chatId": chat});
        let id = post(&system, "generic", &event).await;
        every.insert(id.clone());
        of_shop.extend(is_of_shop.then(|| id.clone()));
        of_ana.extend(is_of_ana.then_some(id));
    }
    let foreign = json!({"dataType": "ready", "sessionId": "shop-1"});
    every.insert(post(&system, "wwebjs", &foreign).await);
    // Without an origin.
    every.insert(system.send("call").await);
    until_settled(&system, "shop", every.len() - of_shop.len()).await;
    until_settled(&system, "ana", every.len() - of_ana.len()).await;
    assert_eq!(ids(&all), every);
    assert_eq!(ids(&shop), of_shop);
    assert_eq!(ids(&ana), of_ana);
    let records = "SELECT count(*) FROM webhooklogs";
    let expected = i64::try_from(every.len() + of_shop.len() + of_ana.len()).unwrap();
    eventually(
        AT_LAST,
        "a record of each delivery and no other",
        || async { (system.count(records) == expected).then_some(()) },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloaded_filter_applies_to_queued_events_and_not_to_begun_deliveries() {
    let receiver = Receiver::answering(|post| {
        Answer::status(if post.attempt() == Some(1) { 500 } else { 200 })
    })
    .await;
    let with = |more: &str| {
        let more = format!("retry_delay = 3000\ncircuit = false\n{more}");
        endpoint("crm", &receiver, &more)
    };
    let system = System::with_endpoints(&receiver, &with(""));
    let program = system.start().await;
    let begun = post_chat(&system, TEAM).await;
    receiver.wait_for(1, AT_LAST).await;
    reload(&system, &program, &with("enabled = false")).await;
    post_chat(&system, TEAM).await;
    let wanted = post_chat(&system, ANA).await;
    reload(&system, &program, &with("groups = false")).await;
    until_settled(&system, "crm", 1).await;
    assert_eq!(ids(&receiver), BTreeSet::from([begun, wanted]));
    assert_eq!(receiver.count(), 4, "both were retried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filtered_events_use_none_of_the_rate() {
    let receiver = Receiver::start().await;
    // A start takes 106 seconds of the rate.
    let limited = endpoint("crm", &receiver, "rate_limit = 0.01\ngroups = false");
    let system = System::with_endpoints(&receiver, &limited);
    let _program = system.start().await;
    for _ in 0..20 {
        post_chat(&system, TEAM).await;
    }
    let wanted = post_chat(&system, ANA).await;
    until_settled(&system, "crm", 20).await;
    assert_eq!(ids(&receiver), BTreeSet::from([wanted]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filtered_events_are_no_probes_of_a_paused_endpoint() {
    let status = Arc::new(AtomicU16::new(500));
    let answer = Arc::clone(&status);
    let receiver =
        Receiver::answering(move |_| Answer::status(answer.load(Ordering::Relaxed))).await;
    let paused = "groups = false\n\
                  circuit = { failures = 1, first_probe = 100, longest_probe = 100 }";
    let system = System::with_endpoints(&receiver, &endpoint("crm", &receiver, paused));
    let _program = system.start().await;
    let wanted = post_chat(&system, ANA).await;
    until(&system, "the pause", |metrics| {
        metrics.sum("wahook_circuit_open") == 1.0
    })
    .await;
    for _ in 0..5 {
        post_chat(&system, TEAM).await;
    }
    let metrics = until(&system, "the filtered events", |metrics| {
        metrics.sum(FILTERED) == 5.0
    })
    .await;
    assert_eq!(metrics.sum("wahook_circuit_open"), 1.0);
    status.store(200, Ordering::Relaxed);
    until_settled(&system, "crm", 5).await;
    assert_eq!(ids(&receiver), BTreeSet::from([wanted]));
    // Each request after the first was a probe, and only these were.
    let probes = (receiver.count() - 1) as f64;
    until(&system, "the count of probes", |metrics| {
        metrics.sum("wahook_probes_total") == probes
    })
    .await;
}
