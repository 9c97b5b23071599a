//! Receivers that close each connection soon after their answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wahook_tests::raw_receiver::{RawReceiver, Step};

use crate::finding::Finding;
use crate::stage::Stage;

const EVENTS: usize = 1_000;
const LATEST: Duration = Duration::from_secs(1);
const GIVEN_UP_AFTER: Duration = Duration::from_secs(120);
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Receiver that closes this many milliseconds after each answer, and 1,000 events, one after
/// another. Each has its own name, by which the receiver tells them apart.
pub(crate) async fn soon_after_each_answer(pause: u64) -> anyhow::Result<Finding> {
    let arrivals = Arc::new(Mutex::new(BTreeMap::<String, Instant>::new()));
    let recorded = Arc::clone(&arrivals);
    let receiver = RawReceiver::answering(move |event| {
        let mut arrivals = recorded.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals
            .entry(event.to_owned())
            .or_insert_with(Instant::now);
        let pause = Step::Wait(Duration::from_millis(pause));
        vec![Step::say(OK), pause, Step::Close]
    })
    .await;
    let stage = Stage::start_at(&receiver.url()).await?;
    let mut accepted = BTreeMap::new();
    for number in 0..EVENTS {
        let event = format!("closing_{number}");
        let sent = stage.send(&event, 1).await?;
        accepted.extend(sent.into_values().map(|at| (event.clone(), at)));
    }
    stage.wait_delivered(EVENTS, GIVEN_UP_AFTER).await?;
    let latest = {
        let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let latencies = accepted.iter().filter_map(|(event, at)| {
            let arrival = arrivals.get(event)?;
            Some(arrival.saturating_duration_since(*at))
        });
        latencies.max().unwrap_or(Duration::MAX)
    };
    let (first, all) = (stage.delivered_at_first().await?, stage.attempts().await?);
    let events = EVENTS as f64;
    Ok(Finding {
        scenario: format!("B4: {EVENTS} events, connections close {pause} ms after each answer"),
        figures: format!(
            "{first} of {EVENTS} delivered by the first attempt, {all} attempts, the latest after \
             {latest:.3?}"
        ),
        expected: "all by the first attempt, the latest within 1 s",
        is_as_expected: first == events && all == events && latest < LATEST,
    })
}
