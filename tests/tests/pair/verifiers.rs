//! Verification of deliveries by typical receivers: Express and Fastify with the documented
//! verifier, and the libraries for Standard Webhooks in node and Python.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::Strategy;
use wahook_hostile::spelled::{key, spelled_json};
use wahook_tests::foreign::ForeignReceiver;
use wahook_tests::foreign::Language::{self, Node, Python};
use wahook_tests::generated::{drawn, seed};
use wahook_tests::pair::{Pair, SECRET};
use wahook_tests::receiver::Receiver;

use crate::batches::{NDJSON, lines};
use crate::world::{Test, Tests};

/// Secret in the format of the libraries: base64 after the prefix.
const BASE64_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

pub(crate) fn add(tests: &mut Tests) {
    let receivers: [(&str, Language, &[&str]); 4] = [
        ("express_4", Node, &["express-receiver.js", "express4"]),
        ("express_5", Node, &["express-receiver.js", "express"]),
        ("fastify", Node, &["fastify-receiver.js"]),
        ("python", Python, &["receiver.py"]),
    ];
    for (name, language, arguments) in receivers {
        for (form, secret) in [("plain", SECRET), ("base64", BASE64_SECRET)] {
            let name = format!("{name}_accepts_deliveries_signed_with_a_{form}_secret");
            tests.add(name, move |test| accepts(test, language, arguments, secret));
        }
    }
    tests.add("express_accepts_five_thousand_unusual_events", many);
}

/// Events that JavaScript prints differently, or nearly so.
const UNUSUAL: [&str; 7] = [
    r#"{"event":"test","data":{"n":[1.0,1e21,1e-7,-0.0,123456789012345678901,0.1,5e-324]}}"#,
    r#"{"event":"test","data":{"b":1,"2":2,"a":3,"1":4,"b":5,"4294967295":6}}"#,
    r#"{"event":"test","data":{"s":"\u00e9\u2028\u0007\/\ud83d\udc4d \ud83d lone"}}"#,
    r#"{"event":"test","data":{"s":"<a href='x'>&amp;</a>","":null,"a.b":true,"$set":{}}}"#,
    r#"{"event":"test","data":{"__proto__":{"x":1},"constructor":{"prototype":2}}}"#,
    r#"{"event":"test","data":{"messageSecret":{"10":1,"9":2,"0":3}},"extra":{"z":1,"a":[]}}"#,
    "{\t\"event\" : \"test\",\n\"data\":{\"emoji\":\"👩‍👩‍👧‍👦\"} }",
];

async fn accepts(
    test: Test,
    language: Language,
    arguments: &'static [&'static str],
    secret: &'static str,
) {
    let mut receiver = ForeignReceiver::start(language, arguments, secret).await;
    let pair = pair(test, &receiver, secret).await;
    let mut sent = BTreeSet::new();
    for event in wahook_domain::samples().chain(UNUSUAL) {
        sent.insert(pair.post_with(&[], event).await.accepted_id());
    }
    are_accepted(&mut receiver, sent, Duration::from_secs(10)).await;
}

async fn pair(test: Test, receiver: &ForeignReceiver, secret: &str) -> Pair {
    let settings = [
        ("WEBHOOK_URL", receiver.url()),
        ("WEBHOOK_SECRET", secret),
        // A retry of a refused delivery would be counted twice.
        ("WEBHOOK_RETRY_ATTEMPTS", "0"),
    ];
    test.pair(Receiver::start().await, &settings).await
}

/// Asserts that every verifier accepts each of these events once.
async fn are_accepted(receiver: &mut ForeignReceiver, mut ids: BTreeSet<String>, each: Duration) {
    while !ids.is_empty() {
        let verdict = receiver.next(each).await;
        let verdicts = verdict["verdicts"].as_object().unwrap();
        assert!(verdicts.len() >= 3, "{verdict}");
        assert!(verdicts.values().all(|valid| valid == true), "{verdict}");
        let id = verdict["id"].as_str().unwrap();
        assert!(ids.remove(id), "{id} was not sent, or was delivered twice");
    }
}

async fn many(test: Test) {
    const EVENTS: usize = 5_000;
    const BATCH: usize = 250;
    let seed = seed();
    println!("WAHOOK_FUZZ_SEED={seed}");
    let arguments = ["express-receiver.js", "express"];
    let mut receiver = ForeignReceiver::start(Node, &arguments, SECRET).await;
    let pair = pair(test, &receiver, SECRET).await;
    let events: Vec<_> = drawn(seed, unusual_event()).take(EVENTS).collect();
    let mut sent = BTreeSet::new();
    for batch in events.chunks(BATCH) {
        let answer = pair.post_with(&NDJSON, batch.join("\n")).await;
        for (line, event) in lines(&answer.body).iter().zip(batch) {
            let id = line["id"].as_str().map(str::to_owned);
            sent.insert(id.unwrap_or_else(|| panic!("{line}: {event}")));
        }
    }
    assert_eq!(sent.len(), EVENTS);
    are_accepted(&mut receiver, sent, Duration::from_secs(20)).await;
}

/// Unusual event on one line.
fn unusual_event() -> impl Strategy<Value = String> {
    let members = || {
        vec((key(), spelled_json()), 0..4).prop_map(|members| {
            let member = |(key, value): &(String, String)| format!("{key}:{value}");
            members.iter().map(member).collect::<Vec<_>>().join(",")
        })
    };
    (members(), members()).prop_map(|(data, others)| {
        let comma = if others.is_empty() { "" } else { "," };
        let event = format!("{{\"data\":{{{data}}},{others}{comma}\"event\":\"test\"}}");
        event.replace(['\r', '\n'], " ")
    })
}
