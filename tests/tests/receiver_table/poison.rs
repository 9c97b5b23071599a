//! Poisoned connections: bytes that a receiver sends without a request are never used as the
//! answer to the next event.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::raw_receiver::{RawReceiver, Step};
use wahook_tests::world::{Test, Tests};

use crate::ending::{Ending, assert_counts, assert_ends, pair_to};
use crate::rows::{FINE, fine, whole};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "an_unsolicited_answer_is_not_used_for_the_next_event",
        unsolicited,
    );
    tests.add(
        "unsolicited_answers_are_not_used_when_events_share_connections",
        in_parallel,
    );
    tests.add(
        "an_answer_behind_an_early_one_is_not_used_for_the_next_event",
        early,
    );
    tests.add(
        "a_connection_closed_after_the_answer_fails_no_delivery",
        closed,
    );
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BAD: &str = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
const BAD_WITH_BODY: &str = "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nsorry";
const BAD_CHUNKED: &str =
    "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsorry\r\n0\r\n\r\n";

/// Ways to send more than one answer, by event name.
fn poisons() -> Vec<(&'static str, Vec<Step>)> {
    let packet = |parts: &[&str]| vec![Step::say(parts.concat())];
    let later = |bytes: &'static str| {
        let pause = Step::Wait(Duration::from_millis(50));
        vec![Step::say(BAD), pause, Step::say(bytes)]
    };
    vec![
        ("in_the_same_packet", packet(&[BAD, GOOD])),
        ("behind_a_body", packet(&[BAD_WITH_BODY, GOOD])),
        ("behind_chunks", packet(&[BAD_CHUNKED, GOOD])),
        ("many_of_them", packet(&[BAD, &GOOD.repeat(500)])),
        (
            "half_of_one",
            packet(&[BAD, "HTTP/1.1 200 OK\r\nContent-Le"]),
        ),
        ("behind_empty_lines", packet(&[BAD, "\r\n\r\n", GOOD])),
        ("a_while_later", later(GOOD)),
        ("half_a_while_later", later("HTTP/1.1 200 ")),
        ("a_single_byte_later", later("H")),
    ]
}

/// Starts a receiver that plays the steps of [`poisons`], and answers `fine` with 200 and other
/// events with 500.
async fn poisoner() -> RawReceiver {
    let poisons = poisons();
    RawReceiver::answering(move |event| {
        let poison = poisons.iter().find(|(name, _)| *name == event);
        match poison {
            Some((_, steps)) => steps.clone(),
            None if event == FINE => fine(),
            None => vec![whole("500 No", "")],
        }
    })
    .await
}

fn refused() -> Ending {
    Ending::answered("status_5xx", 500)
}

/// Sequential events, so that each reuses the connection of its predecessor.
async fn unsolicited(test: Test) {
    let receiver = poisoner().await;
    let pair = pair_to(&test, &receiver.url(), &[]).await;
    let rounds = 3;
    for _ in 0..rounds {
        for (name, _) in poisons() {
            assert_ends(&pair, name, &refused()).await;
            let said = receiver.requests(name);
            eventually(AT_LAST, "all bytes written", || async {
                (receiver.finished(name) == said).then_some(())
            })
            .await;
            assert_ends(&pair, "next", &refused()).await;
        }
        assert_ends(&pair, FINE, &Ending::delivered(200)).await;
    }
    let failed = rounds * poisons().len() * 2;
    assert_counts(&pair, &[("status_5xx", failed), ("delivered", rounds)]).await;
}

async fn in_parallel(test: Test) {
    let receiver = poisoner().await;
    let pair = pair_to(&test, &receiver.url(), &[("WEBHOOK_CONCURRENCY", "8")]).await;
    let ending = refused();
    let batch = |name: &'static str| {
        join_all((0..300).map({
            let (pair, ending) = (&pair, &ending);
            move |_| assert_ends(pair, name, ending)
        }))
    };
    tokio::join!(
        batch("in_the_same_packet"),
        batch("behind_a_body"),
        batch("next")
    );
    assert_counts(&pair, &[("status_5xx", 900)]).await;
}

/// The receiver answers before it has read the request, and sends a second answer after it.
async fn early(test: Test) {
    let receiver = RawReceiver::answering(|event| match event {
        "large" => vec![Step::Early(BAD.into()), Step::say(GOOD)],
        _ => vec![whole("500 No", "")],
    })
    .await;
    let pair = pair_to(&test, &receiver.url(), &[]).await;
    for round in 1..=5 {
        post_large(&pair).await;
        eventually(AT_LAST, "both answers written", || async {
            (receiver.finished("large") == round).then_some(())
        })
        .await;
        assert_ends(&pair, "next", &refused()).await;
    }
    assert_counts(&pair, &[("status_5xx", 10)]).await;
}

async fn post_large(pair: &Pair) {
    let event = json!({"event": "large", "data": {"text": "a".repeat(900_000)}});
    let id = pair.post(&event).await.accepted_id();
    let record = pair.wait_record(&id, AT_LAST, |_| true).await;
    assert_eq!(record.get_i32("statusCode").ok(), Some(500), "{record}");
}

/// The receiver closes without `Connection: close`; the next event meets a closed connection.
async fn closed(test: Test) {
    let receiver = RawReceiver::answering(|_| {
        let mut steps = fine();
        steps.push(Step::Close);
        steps
    })
    .await;
    let pair = pair_to(&test, &receiver.url(), &[]).await;
    for _ in 0..20 {
        assert_ends(&pair, FINE, &Ending::delivered(200)).await;
    }
    assert_counts(&pair, &[("delivered", 20)]).await;
}
