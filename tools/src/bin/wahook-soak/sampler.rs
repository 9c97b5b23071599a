//! Measures the programs, the servers and the queues.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use wahook_tests::amqp_wire::AmqpWire;
use wahook_tests::process;
use wahook_tests::statistics::{quantile, sorted};

use crate::arrivals::Endpoint;
use crate::endpoints::{lanes, wait_queues, work_queue};
use crate::load::Load;
use crate::samples::Sample;
use crate::stage::Stage;

/// Time limit for the depths of the queues.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Columns of a program: memory, files, threads and connections.
const PRODUCER: [&str; 4] = [
    "producer_mib",
    "producer_files",
    "producer_threads",
    "producer_connections",
];
const CONSUMER: [&str; 4] = [
    "consumer_mib",
    "consumer_files",
    "consumer_threads",
    "consumer_connections",
];
const RESTARTED: [&str; 4] = [
    "restarted_mib",
    "restarted_files",
    "restarted_threads",
    "restarted_connections",
];

/// Takes samples; remembers what it needs for the differences between two of them.
pub(crate) struct Sampler {
    at: Instant,
    accepted: u64,
    /// Time for which all processors were busy.
    busy: Duration,
    /// Processor time of each process of the run.
    own: BTreeMap<u32, Duration>,
}

type Values = BTreeMap<&'static str, f64>;

impl Sampler {
    /// Begins the first interval.
    pub(crate) fn start(stage: &Stage, load: &Load) -> anyhow::Result<Self> {
        for endpoint in Endpoint::BOTH {
            let _before_the_run = stage.arrivals.ledger(endpoint).take_latencies();
        }
        Ok(Self {
            at: Instant::now(),
            accepted: load.accepted(),
            busy: process::all_busy()?,
            own: processor_times(stage),
        })
    }

    /// Ends an interval, `at` seconds after the start.
    pub(crate) async fn sample(
        &mut self,
        stage: &Stage,
        load: &Load,
        at: f64,
    ) -> anyhow::Result<Sample> {
        let mut values = Values::new();
        self.rates(stage, load, &mut values)?;
        programs(stage, &mut values);
        events(stage, load, &mut values);
        // Missing while the broker closes all connections.
        if let Ok(Ok(depths)) = timeout(ANSWERED_WITHIN, depths(stage)).await {
            values.extend(
                depths
                    .iter()
                    .map(|(column, depth)| (*column, *depth as f64)),
            );
        }
        Ok(Sample {
            at,
            disturbances: String::new(),
            values,
        })
    }

    /// Adds what is counted per second since the sample before.
    fn rates(&mut self, stage: &Stage, load: &Load, values: &mut Values) -> anyhow::Result<()> {
        let (now, accepted, busy) = (Instant::now(), load.accepted(), process::all_busy()?);
        let own = processor_times(stage);
        let seconds = (now - self.at).as_secs_f64();
        let used = own.iter().map(|(pid, time)| {
            let before = self.own.get(pid).copied().unwrap_or_default();
            time.saturating_sub(before)
        });
        let used = used.sum::<Duration>().as_secs_f64() / seconds;
        let all = busy.saturating_sub(self.busy).as_secs_f64() / seconds;
        values.insert("own_cpu", used);
        values.insert("other_cpu", (all - used).max(0.0));
        let rate = (accepted - self.accepted) as f64 / seconds;
        values.insert("accepted_per_second", rate);
        (self.at, self.accepted, self.busy) = (now, accepted, busy);
        // Keeps the times of a process that this sample misses.
        self.own.extend(own);
        Ok(())
    }
}

fn processor_times(stage: &Stage) -> BTreeMap<u32, Duration> {
    let servers = [stage.servers.rabbitmq.pid(), stage.servers.mongod.pid()];
    let programs = [
        Some(stage.producer.pid()),
        Some(stage.consumer.pid()),
        stage.restarted_pid(),
        Some(std::process::id()),
    ];
    let running = servers.into_iter().chain(programs).flatten();
    // A program may end at any time.
    running
        .filter_map(|pid| Some((pid, process::cpu(pid).ok()?)))
        .collect()
}

fn programs(stage: &Stage, values: &mut Values) {
    let programs = [
        (PRODUCER, Some(stage.producer.pid())),
        (CONSUMER, Some(stage.consumer.pid())),
        (RESTARTED, stage.restarted_pid()),
    ];
    for ([memory, files, threads, connections], pid) in programs {
        let Some(pid) = pid else { continue };
        values.extend(mebibytes(pid).map(|size| (memory, size)));
        if let Ok(handles) = process::handles(pid) {
            values.insert(files, handles.files as f64);
            values.insert(threads, handles.threads as f64);
            values.insert(connections, handles.connections as f64);
        }
    }
    let others = [
        ("broker_mib", stage.servers.rabbitmq.pid()),
        ("mongod_mib", stage.servers.mongod.pid()),
        ("soak_mib", Some(std::process::id())),
    ];
    let others = others.into_iter();
    values.extend(others.filter_map(|(column, pid)| Some((column, mebibytes(pid?)?))));
}

fn mebibytes(pid: u32) -> Option<f64> {
    let (now, _) = process::memory(pid).ok()?;
    Some(now as f64 / 1024.0)
}

/// Adds the counts of events, and the latencies since the sample before.
fn events(stage: &Stage, load: &Load, values: &mut Values) {
    let accepted = load.accepted();
    values.insert("accepted", accepted as f64);
    values.insert("skipped", load.skipped() as f64);
    values.insert("refused", load.refused() as f64);
    values.insert("repeats", stage.arrivals.repeats() as f64);
    for endpoint in Endpoint::BOTH {
        let (delivered, pending, columns) = match endpoint {
            Endpoint::Plain => (
                "delivered_plain",
                "pending_plain",
                ["plain_p50_ms", "plain_p99_ms", "plain_max_ms"],
            ),
            Endpoint::Ordered => (
                "delivered_ordered",
                "pending_ordered",
                ["ordered_p50_ms", "ordered_p99_ms", "ordered_max_ms"],
            ),
        };
        let (count, latencies) = {
            let mut ledger = stage.arrivals.ledger(endpoint);
            (ledger.delivered(), sorted(ledger.take_latencies()))
        };
        values.insert(delivered, count as f64);
        // An event may be delivered before its acceptance is answered.
        values.insert(pending, accepted.saturating_sub(count) as f64);
        for (column, permille) in columns.into_iter().zip([500, 990, 1_000]) {
            values.extend(quantile(&latencies, permille).map(|latency| (column, latency)));
        }
    }
}

/// Returns the numbers of ready messages, those in parking slots of lanes excluded: a slot is
/// declared when it is first needed.
pub(crate) async fn depths(stage: &Stage) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    let mut wire = AmqpWire::connect(&stage.servers.rabbitmq.amqp_url()).await?;
    let groups: [(_, Vec<String>); 5] = [
        ("queue_plain", vec![work_queue()]),
        ("queue_ordered", lanes().collect()),
        ("queue_retries", wait_queues().collect()),
        ("queue_results", vec!["wahook.results".to_owned()]),
        ("queue_dead", vec!["wahook.dead".to_owned()]),
    ];
    let mut depths = BTreeMap::new();
    for (column, queues) in groups {
        let mut messages = 0;
        for queue in queues {
            messages += wire.depth(&queue).await?;
        }
        depths.insert(column, messages);
    }
    Ok(depths)
}
