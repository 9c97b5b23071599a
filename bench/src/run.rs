//! Runs of each kind and their figures.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wahook_tests::pair::Servers;
use wahook_tests::process;

use crate::lab::{Lab, Subject};
use crate::load::{self, Load, Shape};
use crate::sink::{Behaviour, Sink};

/// Label of the process that is producer, consumer and store.
pub(crate) const ONE_PROCESS: &str = "single process";

/// Figures of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Events per second over the whole run.
    pub(crate) per_second: f64,
    /// CPU time per event in microseconds, by process.
    pub(crate) cpu: BTreeMap<&'static str, f64>,
    /// Peak resident memory in MiB, by program.
    pub(crate) peak_memory: BTreeMap<&'static str, f64>,
    /// Time from sending an event to its arrival: p50, p99, p99.9.
    pub(crate) latency: Option<[Duration; 3]>,
}

/// Parameters of a drain or end-to-end run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draining {
    pub(crate) consumers: usize,
    pub(crate) concurrency: u16,
    pub(crate) behaviour: Behaviour,
    pub(crate) events: u64,
    pub(crate) bytes: usize,
    /// Lanes of the endpoint with order per chat; none without order.
    pub(crate) lanes: Option<u8>,
}

/// Sends events until their confirms, without a consumer.
pub(crate) async fn ingest(
    lab: &Lab,
    subject: Subject,
    (shape, connections): (Shape, usize),
    events: u64,
) -> anyhow::Result<Figures> {
    let ingest = lab.ingest(subject).await?;
    let load = Load {
        to: ingest.address,
        epoch: Instant::now(),
        events,
        bytes: 400,
    };
    let meter = Meter::start(&lab.servers, &[("producer", ingest.pid())])?;
    let took = load::closed_loop(load, shape, connections).await?;
    meter.read(events, took)
}

/// Delivers previously queued events to the webhook.
pub(crate) async fn drain(
    lab: &Lab,
    subject: Subject,
    draining: Draining,
) -> anyhow::Result<Figures> {
    let Draining {
        consumers,
        concurrency,
        behaviour,
        events,
        bytes,
        lanes,
    } = draining;
    let epoch = Instant::now();
    let sink = Sink::start(behaviour, epoch).await?;
    {
        let ingest = lab.ingest(subject).await?;
        let load = Load {
            to: ingest.address,
            epoch,
            events,
            bytes,
        };
        load::closed_loop(load, Shape::Single, 64).await?;
    }
    let mut drains = Vec::new();
    let mut processes = Vec::new();
    let meter = Meter::start(&lab.servers, &[])?;
    for _ in 0..consumers {
        let drain = lab.drain(subject, &sink, concurrency, lanes).await?;
        processes.push(("consumer", drain.pid()));
        drains.push(drain);
    }
    let took = sink.wait_for(events).await?;
    let figures = meter.with(&processes).read(events, took)?;
    for drain in drains {
        drain.stop().await?;
    }
    Ok(figures)
}

/// Sends events through producer, broker and consumer to the webhook.
pub(crate) async fn end_to_end(
    lab: &Lab,
    subject: Subject,
    draining: Draining,
) -> anyhow::Result<Figures> {
    let Draining {
        concurrency,
        behaviour,
        events,
        bytes,
        lanes,
        ..
    } = draining;
    let epoch = Instant::now();
    let sink = Sink::start(behaviour, epoch).await?;
    let drain = lab.drain(subject, &sink, concurrency, lanes).await?;
    let ingest = lab.ingest(subject).await?;
    let load = Load {
        to: ingest.address,
        epoch,
        events,
        bytes,
    };
    let pids = [("producer", ingest.pid()), ("consumer", drain.pid())];
    let figures = all_the_way(lab, load, &sink, &pids).await?;
    drain.stop().await?;
    Ok(figures)
}

/// Sends events through the single process to the webhook.
pub(crate) async fn one_process(lab: &Lab, events: u64) -> anyhow::Result<Figures> {
    let epoch = Instant::now();
    let sink = Sink::start(Behaviour::default(), epoch).await?;
    let process = lab.one_process(&sink).await?;
    let load = Load {
        to: process.address,
        epoch,
        events,
        bytes: 400,
    };
    all_the_way(lab, load, &sink, &[(ONE_PROCESS, process.pid())]).await
}

/// Measures from the first send to the last arrival.
async fn all_the_way(
    lab: &Lab,
    load: Load,
    sink: &Sink,
    programs: &[(&'static str, u32)],
) -> anyhow::Result<Figures> {
    let meter = Meter::start(&lab.servers, programs)?;
    let start = Instant::now();
    load::closed_loop(load, Shape::Single, 64).await?;
    sink.wait_for(load.events).await?;
    meter.read(load.events, sink.last().saturating_duration_since(start))
}

/// Measures the latency of events at a low, steady rate.
pub(crate) async fn latency(
    lab: &Lab,
    subject: Subject,
    behaviour: Behaviour,
    (per_second, seconds): (u32, u32),
) -> anyhow::Result<Figures> {
    let epoch = Instant::now();
    let sink = Sink::start(behaviour, epoch).await?;
    let drain = lab.drain(subject, &sink, 128, None).await?;
    let ingest = lab.ingest(subject).await?;
    let events = u64::from(per_second * seconds);
    let load = Load {
        to: ingest.address,
        epoch,
        events,
        bytes: 400,
    };
    let pids = [("producer", ingest.pid()), ("consumer", drain.pid())];
    let meter = Meter::start(&lab.servers, &pids)?;
    let start = Instant::now();
    load::open_loop(load, per_second).await?;
    let took = start.elapsed();
    sink.wait_for(events).await?;
    let mut figures = meter.read(events, took)?;
    let sorted = sink.latencies();
    figures.latency = Some([500, 990, 999].map(|permille| quantile(&sorted, permille)));
    drain.stop().await?;
    Ok(figures)
}

fn quantile(sorted: &[Duration], permille: usize) -> Duration {
    let place = (sorted.len() * permille).div_ceil(1_000);
    sorted
        .get(place.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// CPU time of processes since the start of the meter.
struct Meter {
    before: Vec<(&'static str, u32, Duration)>,
}

impl Meter {
    fn start(servers: &Servers, programs: &[(&'static str, u32)]) -> anyhow::Result<Self> {
        let servers = [
            ("broker", servers.rabbitmq.pid()),
            ("mongod", servers.mongod.pid()),
        ];
        let running = servers
            .iter()
            .filter_map(|(name, pid)| Some((*name, (*pid)?)));
        let all = running.chain(programs.iter().copied());
        let before = all.map(|(name, pid)| Ok((name, pid, process::cpu(pid)?)));
        let before = before.collect::<anyhow::Result<_>>()?;
        Ok(Self { before })
    }

    /// Adds processes, counted from their own start.
    fn with(mut self, programs: &[(&'static str, u32)]) -> Self {
        let new = programs
            .iter()
            .map(|(name, pid)| (*name, *pid, Duration::ZERO));
        self.before.extend(new);
        self
    }

    fn read(self, events: u64, took: Duration) -> anyhow::Result<Figures> {
        let mut figures = Figures {
            per_second: events as f64 / took.as_secs_f64(),
            ..Figures::default()
        };
        for (name, pid, before) in self.before {
            let used = process::cpu(pid)?.saturating_sub(before);
            *figures.cpu.entry(name).or_default() += used.as_secs_f64() * 1e6 / events as f64;
            let (_, peak) = process::memory(pid)?;
            let peak = peak as f64 / 1024.0;
            let most = figures.peak_memory.entry(name).or_default();
            *most = most.max(peak);
        }
        Ok(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_is_not_exceeded_by_the_given_share() {
        let sorted: Vec<_> = (1..=1_000).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 500), Duration::from_millis(500));
        assert_eq!(quantile(&sorted, 999), Duration::from_millis(999));
        assert_eq!(quantile(&sorted[..3], 990), Duration::from_millis(3));
        assert_eq!(quantile(&[], 500), Duration::ZERO);
    }
}
