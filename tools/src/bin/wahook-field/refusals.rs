//! Endpoints that refuse some events and take others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use wahook_tests::receiver::Answer;
use wahook_tests::statistics::quantile;

use crate::finding::Finding;
use crate::stage::Stage;

const TAKEN: &str = "message_create";
const REFUSED: &str = "message_ack";
/// Limit of the 99th percentile.
const SLOWEST: Duration = Duration::from_secs(5);
const LAST_WITHIN: Duration = Duration::from_secs(60);

/// Endpoint that answers 200 to one in ten events and 404 to the others, at four events per
/// second.
pub(crate) async fn one_in_ten_taken(lasting: Duration) -> anyhow::Result<Finding> {
    let stage = start(404).await?;
    let mut ticks = interval(Duration::from_millis(250));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = BTreeMap::new();
    let begun = Instant::now();
    let mut events = 0;
    while begun.elapsed() < lasting {
        ticks.tick().await;
        events += 1;
        if events % 10 == 0 {
            sent.append(&mut stage.send(TAKEN, 1).await?);
        } else {
            stage.send(REFUSED, 1).await?;
        }
    }
    stage
        .wait(LAST_WITHIN, |stage| {
            latencies(stage, &sent).len() == sent.len()
        })
        .await;
    let latencies = latencies(&stage, &sent);
    let p99 = quantile(&latencies, 990).unwrap_or(Duration::MAX);
    let longest = latencies.last().copied().unwrap_or(Duration::MAX);
    let pauses = stage.pauses().await?;
    Ok(Finding {
        scenario: format!(
            "A1: 404 to nine of ten of {events} events, 4/s for {} minutes",
            lasting.as_secs() / 60
        ),
        figures: format!(
            "{} of {} `{TAKEN}` delivered, p99 {p99:.3?}, longest {longest:.3?}, {pauses} pauses",
            latencies.len(),
            sent.len()
        ),
        expected: "all, p99 below 5 s",
        is_as_expected: latencies.len() == sent.len() && p99 < SLOWEST,
    })
}

/// Endpoint that answers 400 to 40 events, and then receives 10 good ones.
pub(crate) async fn good_after_refused() -> anyhow::Result<Finding> {
    let stage = start(400).await?;
    stage.send(REFUSED, 40).await?;
    stage
        .wait(LAST_WITHIN, |stage| stage.receiver.count() >= 40)
        .await;
    let sent = stage.send(TAKEN, 10).await?;
    stage
        .wait(LAST_WITHIN, |stage| latencies(stage, &sent).len() == 10)
        .await;
    let latencies = latencies(&stage, &sent);
    let longest = latencies.last().copied().unwrap_or(Duration::MAX);
    Ok(Finding {
        scenario: "A1: 400 to 40 events, then 10 good ones".to_owned(),
        figures: format!(
            "{} of 10 delivered, the last after {longest:.3?}",
            latencies.len()
        ),
        expected: "all within 60 s",
        is_as_expected: latencies.len() == 10 && longest < LAST_WITHIN,
    })
}

async fn start(refusal: u16) -> anyhow::Result<Stage> {
    Stage::start(move |post| {
        let is_taken = post.event() == Some(TAKEN);
        Answer::status(if is_taken { 200 } else { refusal })
    })
    .await
}

/// Returns the times from acceptance to arrival of the events that arrived, ascending.
fn latencies(stage: &Stage, sent: &BTreeMap<String, Instant>) -> Vec<Duration> {
    let mut arrived = BTreeMap::new();
    for post in stage.receiver.posts() {
        if let Some((id, accepted)) = post.id().and_then(|id| sent.get_key_value(id)) {
            let latency = post.arrived.saturating_duration_since(*accepted);
            arrived.entry(id).or_insert(latency);
        }
    }
    let mut latencies: Vec<_> = arrived.into_values().collect();
    latencies.sort();
    latencies
}
