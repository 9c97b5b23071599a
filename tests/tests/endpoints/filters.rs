//! Routing of events to endpoints, signatures, and events without an endpoint.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};
use reqwest::StatusCode;
use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::several::Several;
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "each_endpoint_gets_exactly_its_events_signed_by_its_own_secret",
        exactly,
    );
    tests.add(
        "events_without_a_matching_endpoint_are_answered_202_with_0_endpoints",
        unmatched,
    );
    tests.add(
        "events_for_an_endpoint_without_a_queue_are_answered_503",
        missing_queue,
    );
    tests.add(
        "matched_events_among_many_unmatched_ones_are_all_delivered",
        mixed,
    );
}

const NAMES: [&str; 20] = [
    "message_create",
    "message_ack",
    "message_revoke_everyone",
    "message_reaction",
    "group_join",
    "group_leave",
    "group_update",
    "authenticated",
    "auth_failure",
    "ready",
    "disconnected",
    "call",
    "contact_changed",
    // Names of other gateways.
    "message",
    "messages_upsert",
    "message_x.y",
    "qr",
    "group.join",
    "group.join.request",
    "call-x",
];

async fn exactly(test: Test) {
    let fails_once =
        |post: &Post| Answer::status(if post.attempt() == Some(1) { 500 } else { 200 });
    let crm = Receiver::answering(fails_once).await;
    let bot = Receiver::answering(fails_once).await;
    let archive = Receiver::start().await;
    let endpoints = format!(
        r#"
        [[endpoint]]
        name = "crm"
        url = "{}"
        events = ["message_*", "call"]
        secret = "the secret of the CRM"
        retry_delay = 400
        headers = {{ "X-Api-Key" = "key of the CRM" }}
        circuit = false
        [[endpoint]]
        name = "bot"
        url = "{}"
        events = ["message_create", "group.*", "ready"]
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        retry_delay = 1200
        circuit = false
        [[endpoint]]
        name = "archive"
        url = "{}"
        "#,
        crm.url(),
        bot.url(),
        archive.url()
    );
    let several = Several::start(&test, 2, &endpoints).await;
    let mut ids = Vec::new();
    for name in NAMES {
        ids.push((name, several.accepted(name).await));
    }
    let expected = |is_matched: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        let ids = ids.iter().filter(|(name, _)| is_matched(name));
        ids.map(|(_, id)| id.clone()).collect()
    };
    let of_crm = expected(&|name| name.starts_with("message_") || name == "call");
    let of_bot =
        expected(&|name| ["message_create", "ready"].contains(&name) || name.starts_with("group."));
    for (receiver, wanted, attempts, secret, wait) in [
        (&crm, &of_crm, 2, Some("the secret of the CRM"), 400),
        (
            &bot,
            &of_bot,
            2,
            Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            1_200,
        ),
        (&archive, &expected(&|_| true), 1, None, 0),
    ] {
        let posts = receiver.wait_for(wanted.len() * attempts, AT_LAST).await;
        let got: BTreeSet<_> = posts
            .iter()
            .map(|post| post.id().unwrap().to_owned())
            .collect();
        assert_eq!(&got, wanted);
        for post in &posts {
            match secret {
                Some(secret) => assert!(post.verify(secret).is_valid(), "{}", post.verify(secret)),
                None => assert_eq!(post.header("x-webhook-signature"), None),
            }
            let key = std::ptr::eq(receiver, &crm).then_some("key of the CRM");
            assert_eq!(post.header("x-api-key"), key);
        }
        for id in wanted {
            let of_one = receiver.posts_of(id);
            assert_eq!(of_one.len(), attempts);
            if let [first, second] = of_one.as_slice() {
                let gap = (second.arrived - first.arrived).as_millis();
                assert!(gap >= wait, "{gap} ms for {wait} ms");
            }
        }
    }
    // Each delivery has its own record.
    let counts = [
        ("crm", of_crm.len()),
        ("bot", of_bot.len()),
        ("archive", 20),
    ];
    let done = async || {
        for (name, count) in counts {
            if several.statuses(name).await != [("success".to_owned(), count as u64)].into() {
                return None;
            }
        }
        Some(())
    };
    eventually(AT_LAST, "the records of all three", done).await;
    assert_eq!(crm.posts().len(), of_crm.len() * 2, "no later deliveries");
    assert_eq!(bot.posts().len(), of_bot.len() * 2, "no later deliveries");
}

fn one(name: &str, url: &str, more: &str) -> String {
    format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n")
}

async fn unmatched(test: Test) {
    let receiver = Receiver::start().await;
    let endpoints = one("crm", &receiver.url(), "events = [\"message_*\"]");
    let several = Several::start(&test, 1, &endpoints).await;
    for _ in 0..3 {
        let (status, answer) = several.post(&json!({"event": "call"})).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        assert_eq!(answer["endpoints"], 0, "{answer}");
        assert!(answer["id"].is_string());
    }
    let (status, answer) = several.post(&json!({"event": "message_ack"})).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert!(answer.get("endpoints").is_none(), "{answer}");
    receiver.wait_for(1, AT_LAST).await;
    let counts = several.producer.metrics().await;
    assert_eq!(counts.sum("wahook_events_unwanted_total"), 3.0);
    assert_eq!(counts.sum("wahook_events_accepted_total"), 1.0);
    assert_eq!(counts.sum("wahook_events_refused_total"), 0.0);

    // After a change of the filter it is delivered, even as a repeat of an unmatched event.
    let repeat = json!({"event": "call", "timestamp": "2024-10-01T12:00:00.000Z"});
    let (_, answer) = several.post(&repeat).await;
    assert_eq!(answer["endpoints"], 0);
    several
        .reload(&one(
            "crm",
            &receiver.url(),
            "events = [\"message_*\", \"call\"]",
        ))
        .await;
    eventually(AT_LAST, "a matching endpoint for calls", || async {
        let (status, answer) = several.post(&repeat).await;
        // Between the declarations of filter and queue the answer is 503.
        (status == StatusCode::ACCEPTED && answer.get("endpoints").is_none()).then_some(())
    })
    .await;
    let posts = receiver.wait_for(2, AT_LAST).await;
    assert_eq!(posts[1].event(), Some("call"));
}

async fn missing_queue(test: Test) {
    let receiver = Receiver::start().await;
    let endpoints = one("crm", &receiver.url(), "events = [\"message_*\"]");
    let several = Several::start(&test, 1, &endpoints).await;
    several.consumers[0].kill9().await;
    let connection = Connection::connect(&several.place.amqp_url, ConnectionProperties::default());
    let connection = connection.await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeleteOptions::default();
    channel
        .queue_delete("wahook.deliver.crm".into(), options)
        .await
        .unwrap();
    let (status, answer) = several.post(&json!({"event": "message_ack"})).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert_eq!(answer["type"], "urn:wahook:problem:no-endpoint");
    // Unmatched events are answered as before.
    let (status, answer) = several.post(&json!({"event": "call"})).await;
    assert_eq!(
        (status, &answer["endpoints"]),
        (StatusCode::ACCEPTED, &json!(0))
    );
    connection.close(200, "done".into()).await.unwrap();
}

async fn mixed(test: Test) {
    let receiver = Receiver::start().await;
    let endpoints = one("crm", &receiver.url(), "events = [\"message_*\"]");
    let several = Several::start(&test, 1, &endpoints).await;
    let names = ["call", "message_ack", "qr", "message_create"];
    let events: Vec<_> = names.iter().cycle().take(400).collect();
    let posts = events.iter().map(|name| several.accepted(name));
    let ids = join_all(posts).await;
    let wanted: BTreeSet<_> = ids.into_iter().skip(1).step_by(2).collect();
    receiver.wait_for(200, AT_LAST).await;
    let is_all = || async {
        let posts = receiver.posts();
        let got: BTreeSet<_> = posts
            .iter()
            .map(|post| post.id().unwrap().to_owned())
            .collect();
        (got == wanted).then_some(())
    };
    eventually(AT_LAST, "exactly the matched events", is_all).await;
    // The queue drops them by a time to live of 0, a moment later on a busy machine.
    let is_empty = || async { (several.depth("wahook.unwanted").await == 0).then_some(()) };
    eventually(AT_LAST, "no stored unmatched events", is_empty).await;
}
