//! Runs of each kind and their figures.

use std::time::Instant;

use wahook_tests::folder::RunFolder;
use wahook_tests::statistics::quantile;
use wahook_tests::stored_log::StoredIn;

use crate::figures::{Figures, ONE_PROCESS};
use crate::lab::{Lab, Subject};
use crate::load::{self, Load, Shape};
use crate::meter::Meter;
use crate::queues::Queues;
use crate::sink::{Behaviour, Sink};

/// Connections of the load generator.
pub(crate) const CONNECTIONS: usize = 64;

/// Parameters of a drain or end-to-end run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draining {
    pub(crate) consumers: usize,
    pub(crate) concurrency: u16,
    pub(crate) behaviour: Behaviour,
    pub(crate) events: u64,
    pub(crate) bytes: usize,
    pub(crate) queues: Queues,
    /// True for a log without the search index of the console.
    pub(crate) unindexed: bool,
}

/// Parameters of a run of the single process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OneProcess {
    pub(crate) connections: usize,
    pub(crate) behaviour: Behaviour,
    pub(crate) events: u64,
    pub(crate) bytes: usize,
    /// True for a log without the search index of the console.
    pub(crate) unindexed: bool,
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
        queues,
        unindexed: _,
    } = draining;
    if !matches!(queues, Queues::One) {
        lab.declare(queues).await?;
    }
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
        load::closed_loop(load, Shape::Single, CONNECTIONS).await?;
    }
    let mut drains = Vec::new();
    let mut processes = Vec::new();
    let meter = Meter::start(&lab.servers, &[])?;
    for _ in 0..consumers {
        let drain = lab.drain(subject, &sink, concurrency, queues).await?;
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
        queues,
        unindexed,
        ..
    } = draining;
    let epoch = Instant::now();
    let sink = Sink::start(behaviour, epoch).await?;
    let drain = lab.drain(subject, &sink, concurrency, queues).await?;
    if unindexed {
        let log = StoredIn::MongoDb(lab.place());
        log.remove_search_index().await?;
    }
    let ingest = lab.ingest(subject).await?;
    let load = Load {
        to: ingest.address,
        epoch,
        events,
        bytes,
    };
    let pids = [("producer", ingest.pid()), ("consumer", drain.pid())];
    let figures = all_the_way(lab, load, CONNECTIONS, &sink, &pids).await?;
    drain.stop().await?;
    Ok(figures)
}

/// Sends events through the single process to the webhook.
pub(crate) async fn one_process(lab: &Lab, run: OneProcess) -> anyhow::Result<Figures> {
    let epoch = Instant::now();
    let sink = Sink::start(run.behaviour, epoch).await?;
    let folder = RunFolder::temporary("bench")?;
    let data = folder.join("wahook.db");
    let process = lab.one_process(&sink, &data).await?;
    if run.unindexed {
        StoredIn::DataFile(data).remove_search_index().await?;
    }
    let load = Load {
        to: process.address,
        epoch,
        events: run.events,
        bytes: run.bytes,
    };
    let pids = [(ONE_PROCESS, process.pid())];
    all_the_way(lab, load, run.connections, &sink, &pids).await
}

/// Measures from the first send to the last arrival.
async fn all_the_way(
    lab: &Lab,
    load: Load,
    connections: usize,
    sink: &Sink,
    programs: &[(&'static str, u32)],
) -> anyhow::Result<Figures> {
    let meter = Meter::start(&lab.servers, programs)?;
    let start = Instant::now();
    load::closed_loop(load, Shape::Single, connections).await?;
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
    let drain = lab.drain(subject, &sink, 128, Queues::One).await?;
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
    let quantile = |permille| quantile(&sorted, permille).unwrap_or_default();
    figures.latency = Some([500, 990, 999].map(quantile));
    drain.stop().await?;
    Ok(figures)
}
