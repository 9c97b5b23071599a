//! A thousand invalid requests: each is refused, none is published, and the next valid one is
//! accepted.

mod classes;

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::random::Random;
use wahook_tests::raw_http::{RawAnswer, Then, exchange};
use wahook_tests::receiver::Receiver;

use crate::world::{Test, Tests};
use classes::{ALL, Class};

pub(crate) use classes::gzip;

/// `PRODUCER_MAX_BODY_BYTES`; small, so that oversized bodies are cheap.
const LIMIT: usize = 64 << 10;
const OF_EACH_CLASS: usize = 36;
const SEED: u64 = 1;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_thousand_invalid_requests_are_refused_and_none_is_published",
        refused,
    );
}

async fn refused(test: Test) {
    assert!(ALL.len() * OF_EACH_CLASS >= 1_000);
    let limit = LIMIT.to_string();
    let settings = [("PRODUCER_MAX_BODY_BYTES", limit.as_str())];
    let pair = test.pair(Receiver::start().await, &settings).await;
    let server = server(&pair);
    let mut random = Random::seeded(SEED);
    let mut wrong = Vec::new();
    for class in ALL {
        for number in 0..OF_EACH_CLASS {
            let request = (class.make)(&mut random);
            let answers = exchange(server, &request, class.then).await;
            let verdict = answers.and_then(|answers| check(class, &answers));
            if let Err(error) = verdict {
                let sent = String::from_utf8_lossy(&request[..request.len().min(400)]);
                wrong.push(format!("{} {number}: {error:#}\n{sent:?}", class.name));
            }
        }
        pair.post(&json!({"event": "test", "data": {"after": class.name}}))
            .await
            .accepted_id();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let good = ALL.len();
    let posts = pair.receiver.wait_for(good, AT_LAST).await;
    assert_eq!(posts.len(), good, "only the valid events are delivered");
    let counts = pair.producer.metrics().await;
    assert_eq!(
        counts.sum("wahook_publish_confirm_seconds_count"),
        good as f64,
        "only the valid events are published"
    );
    eventually(AT_LAST, "the end of all requests", || async {
        let now = pair.producer.metrics().await;
        (now.sum("wahook_requests_in_flight") == 0.0).then_some(())
    })
    .await;
    let stderr = pair.producer.stderr_so_far();
    assert!(
        !stderr.contains("panicked") && !stderr.contains("ERROR"),
        "{stderr}"
    );
}

pub(crate) fn server(pair: &Pair) -> SocketAddr {
    let url = pair.producer.base_url();
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Checks the answers to a request of a class.
fn check(class: &Class, answers: &[RawAnswer]) -> anyhow::Result<()> {
    // After a half-close the server may close the connection without an answer.
    if answers.is_empty() && class.then == Then::SayEnd {
        return Ok(());
    }
    let first = answers.first().context("no answer")?;
    ensure!(class.statuses.contains(&first.status), "{first:?}");
    answers.iter().try_for_each(check_form)
}

fn check_form(answer: &RawAnswer) -> anyhow::Result<()> {
    let media_type = |name| answer.head.contains(&format!("content-type: {name}\r\n"));
    if media_type("application/problem+json") {
        let problem: Value = serde_json::from_str(&answer.body)?;
        let kind = problem["type"].as_str().context("no type")?;
        ensure!(kind.starts_with("urn:wahook:problem:"), "{kind}");
        ensure!(problem["status"] == answer.status, "{problem}");
        ensure!((400..500).contains(&answer.status), "{answer:?}");
    } else if media_type("application/x-ndjson") {
        ensure!(answer.status == 207, "{answer:?}");
        for line in answer.body.lines() {
            let line: Value = serde_json::from_str(line)?;
            ensure!(
                [400, 422].contains(&line["status"].as_u64().unwrap_or_default()),
                "{line}"
            );
        }
    } else {
        // Invalid HTTP, answered by hyper itself.
        let is_bare = [400, 414, 431].contains(&answer.status) && answer.body.is_empty();
        ensure!(is_bare, "{answer:?}");
    }
    Ok(())
}
