//! Events that a gateway posts twice, and events that only look alike.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::Answered;

use crate::cases::{Case, KINDS, case_with, cases};
use crate::encoding::Encoding;
use crate::stage::Stage;

const MANY: usize = 200;
/// Requests at the same time.
const AT_ONCE: usize = 16;

/// Two sources of each kind.
fn sources() -> String {
    let source = |name: &str, kind: &str, form: &str| {
        format!("[[source]]\nname = \"{name}\"\nkind = \"{kind}\"\ndeliver = \"{form}\"\n")
    };
    let both = KINDS.map(|kind| {
        let received = source(kind, kind, "as-received");
        received + &source(&format!("{kind}-documented"), kind, "documented")
    });
    both.concat()
}

async fn post(stage: &Stage, to: &str, kind: &str, body: &str) -> Answered {
    let encoding = Encoding::of_kind(kind);
    let content_type = encoding.content_type();
    let headers = [("content-type", content_type.as_str())];
    let answer = stage.post(to, &headers, encoding.encode(body)).await;
    assert!(answer.status.is_success(), "{to}: {}", answer.body);
    answer
}

/// Posts all bodies, and returns the ids of the events that are no duplicates.
async fn post_all(stage: &Stage, to: &str, kind: &str, bodies: Vec<String>) -> BTreeSet<String> {
    let answers = stream::iter(bodies).map(|body| async move {
        let answer = post(stage, to, kind, &body).await.json();
        assert_eq!(answer.get("duplicate"), None, "{to}: {body}");
        answer["id"].as_str().unwrap().to_owned()
    });
    answers.buffer_unordered(AT_ONCE).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_of_each_kind_that_is_posted_twice_is_delivered_once() {
    let stage = Stage::start(&sources(), &[]).await;
    let mut posted = 0;
    for kind in KINDS {
        let case = case_with(kind, |part| !part["key"].is_null()).unwrap();
        for to in [kind.to_owned(), format!("{kind}-documented")] {
            let first = post(&stage, &to, kind, &case.body).await.json();
            let second = post(&stage, &to, kind, &case.body).await;
            assert_eq!(second.status, 200, "{to}");
            let second = second.json();
            assert_eq!(second["duplicate"], json!(true), "{to}");
            assert_eq!(second["id"], first["id"], "{to}");
            posted += 1;
            stage.delivery(first["id"].as_str().unwrap()).await;
        }
    }
    assert_eq!(stage.posts_so_far("last").await, posted);
    let metrics = stage.metrics().await;
    for outcome in ["accepted", "duplicate"] {
        let labels = [("source", "meta"), ("outcome", outcome)];
        assert_eq!(
            metrics.sum_where("wahook_source_events_total", &labels),
            1.0,
            "{outcome}"
        );
    }
}

/// Returns the requests of a kind with one event of this name and a key.
fn named(kind: &str, name: &str) -> Option<Case> {
    case_with(kind, |part| part["name"] == name && part["key"].is_string())
}

/// Returns the body with another id for each number.
fn varied(case: &Case) -> Vec<String> {
    let key = case.parts[0]["key"].as_str().unwrap();
    let id = key.split([' ', ':']).next().unwrap();
    let id = id.rsplit('_').next().unwrap();
    let body = |n: usize| case.body.replace(id, &format!("{id}{n:03}"));
    (0..MANY).map(body).collect()
}

async fn all_are_delivered(name: &str) {
    let stage = Stage::start(&sources(), &[]).await;
    let mut wanted = BTreeSet::new();
    for kind in KINDS {
        let Some(case) = named(kind, name) else {
            assert_eq!(kind, "generic", "{kind} has {name}");
            continue;
        };
        for to in [kind.to_owned(), format!("{kind}-documented")] {
            let ids = post_all(&stage, &to, kind, varied(&case)).await;
            assert_eq!(ids.len(), MANY, "{to}");
            wanted.extend(ids);
        }
    }
    all_arrive(&stage, &wanted).await;
}

async fn all_arrive(stage: &Stage, wanted: &BTreeSet<String>) {
    let posts = stage.receiver.wait_for(wanted.len(), AT_LAST).await;
    let found: BTreeSet<_> = posts
        .iter()
        .map(|post| post.id().unwrap().to_owned())
        .collect();
    assert_eq!(&found, wanted);
    assert_eq!(posts.len(), wanted.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_acks_of_each_kind_are_all_delivered() {
    all_are_delivered("message_ack").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_reactions_of_each_kind_are_all_delivered() {
    all_are_delivered("message_reaction").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_presences_are_all_delivered_even_equal_ones() {
    let stage = Stage::start(&sources(), &[]).await;
    let mut wanted = BTreeSet::new();
    let is_presence = |part: &Value| part["name"].as_str().unwrap().contains("presence");
    for kind in ["wahook", "waha", "gowa", "wuzapi", "generic"] {
        let equal = case_with(kind, |part| is_presence(part) && part["key"].is_null());
        let bodies = vec![equal.unwrap().body; MANY];
        for to in [kind.to_owned(), format!("{kind}-documented")] {
            wanted.extend(post_all(&stage, &to, kind, bodies.clone()).await);
        }
    }
    // Those that carry a time or a number of their own differ by it.
    for (kind, its_own) in [
        ("evolution", "\"date_time\":\"2025-11-28T08:20:00."),
        ("waha", "\"id\":\"evt_"),
        ("wppconnect", "\"t\":"),
    ] {
        let case = case_with(kind, |part| is_presence(part) && !part["key"].is_null()).unwrap();
        assert!(case.body.contains(its_own), "{}", case.body);
        let body = |n: usize| case.body.replace(its_own, &format!("{its_own}1{n:03}"));
        let bodies: Vec<_> = (0..MANY).map(body).collect();
        for to in [kind.to_owned(), format!("{kind}-documented")] {
            wanted.extend(post_all(&stage, &to, kind, bodies.clone()).await);
        }
    }
    assert_eq!(wanted.len(), 16 * MANY);
    all_arrive(&stage, &wanted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_acks_of_one_message_are_two_events() {
    let stage = Stage::start(&sources(), &[]).await;
    for kind in KINDS.into_iter().filter(|kind| *kind != "generic") {
        for ack in two_acks_of_a_message(kind) {
            for to in [kind.to_owned(), format!("{kind}-documented")] {
                let answer = post(&stage, &to, kind, &ack.body).await.json();
                let events = answer["events"].as_array().cloned();
                for event in events.unwrap_or_else(|| vec![answer]) {
                    assert_eq!(event.get("duplicate"), None, "{to}: {}", ack.body);
                    stage.delivery(event["id"].as_str().unwrap()).await;
                }
            }
        }
    }
}

fn two_acks_of_a_message(kind: &str) -> [Case; 2] {
    let is_ack = |case: &Case| case.parts.iter().all(|part| part["name"] == "message_ack");
    let mut acks: Vec<_> = cases(kind).into_iter().filter(is_ack).collect();
    while let Some(ack) = acks.pop() {
        let is_other = |other: &Case| {
            let (one, other) = (&ack.parts[0], &other.parts[0]);
            one["messageId"] == other["messageId"] && one["key"] != other["key"]
        };
        if let Some(place) = acks.iter().position(is_other) {
            return [ack, acks.swap_remove(place)];
        }
    }
    panic!("{kind} has no two acks of a message");
}
