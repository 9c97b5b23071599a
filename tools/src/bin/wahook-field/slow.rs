//! Endpoint with a token bucket of 10 requests per second, which answers 429 with
//! `Retry-After: 1` above it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use wahook_tests::rate_limited::{TokenBucket, rate_limited_answer};

use crate::finding::Finding;
use crate::stage::Stage;

/// Requests per second that the receiver takes.
const TAKES: f64 = 10.0;
/// Lowest average rate while events wait.
const SLOWEST: f64 = 8.0;
/// More than the time in which all events must be delivered.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(400);

/// Ids of the events that the receiver took, and the time of the last one.
#[derive(Debug, Default)]
struct Taken {
    ids: BTreeSet<String>,
    last: Option<Instant>,
    /// True if an event needed a second counted attempt.
    has_retries: bool,
}

/// Batch of 600 events.
pub(crate) async fn batch() -> anyhow::Result<Finding> {
    measure(
        "A2: batch of 600 to a receiver of 10/s",
        600,
        Duration::ZERO,
    )
    .await
}

/// 20 events per second for 60 s.
pub(crate) async fn steady() -> anyhow::Result<Finding> {
    let every = Duration::from_millis(50);
    measure("A2: 20/s for 60 s to a receiver of 10/s", 1_200, every).await
}

/// Sends events, one request each or all in one, and waits until all are taken.
async fn measure(scenario: &str, events: usize, every: Duration) -> anyhow::Result<Finding> {
    let taken = Arc::new(Mutex::new(Taken::default()));
    let recorded = Arc::clone(&taken);
    let bucket = TokenBucket::new(TAKES);
    let stage = Stage::start(move |post| {
        let is_taken = bucket.take();
        if is_taken {
            let mut taken = recorded.lock().unwrap_or_else(PoisonError::into_inner);
            taken.ids.extend(post.id().map(str::to_owned));
            taken.has_retries |= post.attempt() != Some(1);
            taken.last = Some(post.arrived);
        }
        rate_limited_answer(is_taken)
    })
    .await?;
    let begun = Instant::now();
    if every.is_zero() {
        stage.send("message_ack", events).await?;
    } else {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for _ in 0..events {
            ticks.tick().await;
            stage.send("message_ack", 1).await?;
        }
    }
    let now = || taken.lock().unwrap_or_else(PoisonError::into_inner);
    stage
        .wait(GIVEN_UP_AFTER, |_| now().ids.len() == events)
        .await;
    let dead = stage.dead_letters().await?;
    let posts = stage.receiver.count();
    let taken = now();
    let last = taken.last.unwrap_or(begun);
    let took = last.saturating_duration_since(begun).as_secs_f64();
    let delivered = u32::try_from(taken.ids.len()).unwrap_or(u32::MAX);
    let rate = f64::from(delivered) / took.max(f64::MIN_POSITIVE);
    Ok(Finding {
        scenario: scenario.to_owned(),
        figures: format!(
            "{delivered} of {events} delivered by the first counted attempt within {took:.0} s, \
             {rate:.2}/s, {} answers 429, {dead} dead letters",
            posts.saturating_sub(taken.ids.len())
        ),
        expected: "no dead letters, at least 8/s",
        is_as_expected: taken.ids.len() == events
            && dead == 0.0
            && rate >= SLOWEST
            && !taken.has_retries,
    })
}
