//! Course of a run: capacity of the machine, load with disturbances, and the last deliveries.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::arrivals::Endpoint;
use crate::load::{Accepted, Load, Pace};
use crate::outcome::Outcome;
use crate::sampler::{Sampler, depths};
use crate::samples::{Recording, Sample};
use crate::schedule::{Span, disturbances, due};
use crate::stage::Stage;
use crate::verdict::warm_up_of;

const INTERVAL: Duration = Duration::from_secs(10);
const INTERVALS_PER_MINUTE: u32 = 6;
const MINUTE: Duration = Duration::from_secs(60);
/// Time of a disturbance after the begin of its minute: after the sample.
const AFTER_THE_SAMPLE: Duration = Duration::from_secs(2);
/// Undelivered events while the capacity is measured.
const BACKLOG: u64 = 3_000;
const BEFORE_CAPACITY: Duration = Duration::from_secs(5);
const CAPACITY: Duration = Duration::from_secs(20);
/// Longest time without a delivery before missing events count as lost.
const NEXT_WITHIN: Duration = Duration::from_secs(120);

/// Result of a run.
pub(crate) struct Run {
    pub(crate) minutes: u32,
    /// Events a second.
    pub(crate) rate: f64,
    /// Events a second that the machine delivers, if measured.
    pub(crate) capacity: Option<f64>,
    /// Versions of the servers.
    pub(crate) servers: String,
    pub(crate) samples: Vec<Sample>,
    pub(crate) spans: Vec<Span>,
    pub(crate) outcome: Outcome,
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// Runs servers and programs for `minutes` at `rate` events a second, or at half of what the
/// machine delivers.
pub(crate) async fn run(
    minutes: u32,
    rate: Option<u32>,
    recording: &mut Recording,
) -> anyhow::Result<Run> {
    println!("starting RabbitMQ, MongoDB and the programs");
    let mut stage = Stage::start(warm_up_of(minutes * 60)).await?;
    let servers = stage.servers.versions().await?;
    let (mut capacity, mut accepted) = (None, Accepted::NONE);
    let rate = match rate {
        Some(rate) => f64::from(rate),
        None => {
            println!("measuring the capacity");
            let (measured, sent) = measure_capacity(&stage).await?;
            stage.replace_programs().await?;
            (capacity, accepted) = (Some(measured), sent);
            (measured / 2.0).round().max(1.0)
        }
    };
    println!("{minutes} minutes at {rate:.0} events/s, on {servers}");
    let plan = Plan {
        minutes,
        rate,
        accepted,
    };
    let (samples, spans, outcome) = plan.play(&Arc::new(stage), recording).await?;
    Ok(Run {
        minutes,
        rate,
        capacity,
        servers,
        samples,
        spans,
        outcome,
    })
}

/// Returns the events a second that both endpoints receive while events are sent as fast as
/// possible, and the accepted events.
async fn measure_capacity(stage: &Stage) -> anyhow::Result<(f64, Accepted)> {
    let pace = Pace::FlatOut {
        undelivered: BACKLOG,
    };
    let url = stage.producer.base_url();
    let mut load = Load::start(&url, pace, &Accepted::NONE, &stage.arrivals)?;
    sleep(BEFORE_CAPACITY).await;
    let (before, start) = (stage.arrivals.delivered_to_both(), Instant::now());
    sleep(CAPACITY).await;
    let delivered = stage.arrivals.delivered_to_both() - before;
    let rate = delivered as f64 / start.elapsed().as_secs_f64();
    load.check()?;
    let accepted = load.stop().await?;
    last_deliveries(stage, &accepted).await;
    println!("the machine delivers {rate:.0} events/s to both endpoints");
    Ok((rate, accepted))
}

/// Load of the run.
struct Plan {
    minutes: u32,
    rate: f64,
    /// Events accepted before.
    accepted: Accepted,
}

impl Plan {
    async fn play(
        self,
        stage: &Arc<Stage>,
        recording: &mut Recording,
    ) -> anyhow::Result<(Vec<Sample>, Vec<Span>, Outcome)> {
        let (url, pace) = (stage.producer.base_url(), Pace::Rate(self.rate));
        let repeats = stage.arrivals.repeats();
        let start = Instant::now();
        let mut load = Load::start(&url, pace, &self.accepted, &stage.arrivals)?;
        let mut sampler = Sampler::start(stage, &load)?;
        let spans = Spans::default();
        let mut disturbing = JoinSet::new();
        disturbing.spawn(disturb(
            Arc::clone(stage),
            Arc::clone(&spans),
            start,
            self.minutes,
        ));
        let mut samples = Vec::new();
        let mut begin = 0.0;
        for interval in 1..=self.minutes * INTERVALS_PER_MINUTE {
            sleep_until((start + INTERVAL * interval).into()).await;
            load.check()?;
            if let Some(ended) = disturbing.try_join_next() {
                ended.context("a disturbance")??;
            }
            let at = start.elapsed().as_secs_f64();
            let mut sample = sampler.sample(stage, &load, at).await?;
            sample.disturbances = disturbances(&locked(&spans), begin, at);
            begin = at;
            recording.append(&sample)?;
            if interval.is_multiple_of(INTERVALS_PER_MINUTE) {
                println!("{}", progress(interval / INTERVALS_PER_MINUTE, &sample));
            }
            samples.push(sample);
        }
        if let Some(ended) = disturbing.join_next().await {
            ended.context("a disturbance")??;
        }
        let mut outcome = Outcome {
            skipped: load.skipped(),
            refused: load.refused(),
            ..Outcome::default()
        };
        let accepted = load.stop().await?;
        last_deliveries(stage, &accepted).await;
        outcome.accepted = accepted.count() - self.accepted.count();
        outcome.repeats = stage.arrivals.repeats() - repeats;
        outcome.arrived(&accepted, &stage.arrivals);
        outcome.dead_letters = dead_letters(stage).await?;
        stage.stop_programs().await?;
        let spans = locked(&spans).clone();
        Ok((samples, spans, outcome))
    }
}

/// Disturbs the system at the begin of each minute but the first.
async fn disturb(
    stage: Arc<Stage>,
    spans: Spans,
    start: Instant,
    minutes: u32,
) -> anyhow::Result<()> {
    for minute in 1..minutes {
        sleep_until((start + MINUTE * minute + AFTER_THE_SAMPLE).into()).await;
        for kind in due(minute, minutes) {
            let begin = start.elapsed().as_secs_f64();
            let end = None;
            locked(&spans).push(Span { kind, begin, end });
            let disturbed = stage.disturb(kind).await;
            disturbed.with_context(|| format!("{} in minute {minute}", kind.name()))?;
            let end = Some(start.elapsed().as_secs_f64());
            if let Some(span) = locked(&spans).last_mut() {
                span.end = end;
            }
        }
    }
    Ok(())
}

/// Waits for the deliveries of all events, as long as some arrive.
async fn last_deliveries(stage: &Stage, accepted: &Accepted) {
    let wanted = 2 * accepted.count();
    let mut seen = (0, Instant::now());
    loop {
        let delivered = Endpoint::BOTH.map(|endpoint| stage.arrivals.ledger(endpoint).delivered());
        let delivered = delivered.iter().sum();
        if delivered > seen.0 {
            seen = (delivered, Instant::now());
        }
        if delivered >= wanted || seen.1.elapsed() > NEXT_WITHIN {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn dead_letters(stage: &Stage) -> anyhow::Result<u64> {
    let depths = depths(stage).await.context("the queues at the end")?;
    depths.get("queue_dead").copied().context("no such queue")
}

fn locked(spans: &Mutex<Vec<Span>>) -> std::sync::MutexGuard<'_, Vec<Span>> {
    spans.lock().unwrap_or_else(PoisonError::into_inner)
}

fn progress(minute: u32, sample: &Sample) -> String {
    let value = |column| sample.get(column).unwrap_or(f64::NAN);
    format!(
        "minute {minute}: {:.0} accepted/s; latency p50/p99 plain {:.1}/{:.1} ms, ordered \
         {:.1}/{:.1} ms; producer {:.1} MiB, consumer {:.1} MiB; undelivered {:.0} and {:.0}; \
         repeats {:.0}, skipped {:.0}; processors {:.2}, others {:.2}",
        value("accepted_per_second"),
        value("plain_p50_ms"),
        value("plain_p99_ms"),
        value("ordered_p50_ms"),
        value("ordered_p99_ms"),
        value("producer_mib"),
        value("consumer_mib"),
        value("pending_plain"),
        value("pending_ordered"),
        value("repeats"),
        value("skipped"),
        value("own_cpu"),
        value("other_cpu"),
    )
}
