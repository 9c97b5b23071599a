//! Rows of the fault matrix.

/// Converts an async function to a [`Play`].
macro_rules! play {
    ($function:path) => {
        |act| Box::pin($function(act))
    };
}

mod backlog;
mod broker;
mod cluster;
mod consumers;
mod failpoints;
mod log;
mod network;
mod redrive;
mod replica_set;
mod spool;
mod webhook;

use futures_util::future::BoxFuture;

use crate::act::{Act, Size};
use crate::brokers::Nodes;
use crate::gateway::Rate;

type Play = for<'a> fn(&'a mut Act<'_>) -> BoxFuture<'a, anyhow::Result<()>>;

/// Row of the fault matrix: a fault and the function that injects it.
pub(crate) struct Row {
    /// Name for the command line and prefix of the row's event ids.
    pub(crate) name: &'static str,
    /// Description of the fault, for the table.
    pub(crate) fault: &'static str,
    /// The row takes too long for the short form.
    only_long: bool,
    /// Nodes of the broker.
    pub(crate) nodes: Nodes,
    pub(crate) play: Play,
}

impl Row {
    const fn new(name: &'static str, fault: &'static str, play: Play) -> Self {
        Self {
            name,
            fault,
            only_long: false,
            nodes: Nodes::One,
            play,
        }
    }

    const fn long(name: &'static str, fault: &'static str, play: Play) -> Self {
        Self::new(name, fault, play).not_short()
    }

    const fn cluster(name: &'static str, fault: &'static str, play: Play) -> Self {
        Self {
            nodes: Nodes::Three,
            ..Self::new(name, fault, play)
        }
    }

    const fn not_short(mut self) -> Self {
        self.only_long = true;
        self
    }

    pub(crate) fn is_in(&self, size: Size) -> bool {
        size == Size::Long || !self.only_long
    }
}

/// All rows, in execution order.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> + Clone {
    SINGLE.iter().chain(replica_set::ROWS).chain(cluster::ROWS)
}

/// Rows on one node, in execution order. The first one is the baseline for all others.
const SINGLE: &[Row] = &[
    Row::new("nothing", "none", play!(no_fault)),
    Row::new(
        "published",
        "producer killed between publish and confirm",
        play!(failpoints::producer_published),
    ),
    Row::new(
        "confirmed",
        "producer killed between confirm and 202",
        play!(failpoints::confirmed),
    ),
    Row::new(
        "received",
        "consumer killed before the POST",
        play!(failpoints::received),
    ),
    Row::new(
        "posted",
        "consumer killed after the POST",
        play!(failpoints::posted),
    ),
    Row::new(
        "retry-published",
        "consumer killed between a retry's publish and its confirm",
        play!(failpoints::retry_published),
    ),
    Row::new(
        "retry-confirmed",
        "consumer killed between a retry's confirm and its record",
        play!(failpoints::retry_confirmed),
    ),
    Row::new(
        "writing",
        "consumer killed while it writes a batch to the log",
        play!(failpoints::writing),
    ),
    Row::new(
        "recorded",
        "consumer killed between record and ack",
        play!(failpoints::recorded),
    ),
    Row::new(
        "drained",
        "consumer killed in the drainer, between write and ack",
        play!(failpoints::drained),
    ),
    Row::new("broker-idle", "broker killed, idle", play!(broker::idle)),
    Row::new(
        "broker-load",
        "broker killed under load",
        play!(broker::under_load),
    ),
    Row::new(
        "broker-waiting",
        "broker killed with a full wait queue",
        play!(broker::waiting),
    ),
    Row::new(
        "broker-expiring",
        "broker killed while a wait queue expires",
        play!(broker::expiring),
    ),
    Row::long(
        "broker-restarts",
        "broker restarted every 20 s for 3 min",
        play!(broker::restarts),
    ),
    Row::new(
        "broker-frozen",
        "broker frozen (SIGSTOP) under load",
        play!(broker::frozen),
    ),
    Row::new(
        "memory-alarm",
        "memory alarm at the broker",
        play!(broker::memory_alarm),
    ),
    Row::new(
        "disk-alarm",
        "disk alarm at the broker",
        play!(broker::disk_alarm),
    ),
    Row::new(
        "queue-missing",
        "work queue deleted while no consumer runs",
        play!(broker::queue_missing),
    ),
    Row::new(
        "broker-spool",
        "broker stopped, sender never repeats, producer with a spool killed",
        play!(spool::outage),
    ),
    Row::new("log-frozen", "MongoDB frozen (SIGSTOP)", play!(log::frozen)),
    Row::new(
        "log-killed",
        "MongoDB killed, and unavailable for a while",
        play!(log::killed),
    ),
    Row::new(
        "log-disk-full",
        "MongoDB's disk full",
        play!(log::disk_full),
    ),
    Row::new(
        "log-race",
        "the same events on two consumers at once",
        play!(log::race),
    ),
    Row::new(
        "network",
        "network to the broker cut, slow, silent, reset",
        play!(network::broken),
    ),
    Row::new(
        "webhook-down",
        "webhook down for longer than the retries last",
        play!(webhook::down),
    ),
    Row::new(
        "scale-term",
        "consumers 1→4→1 by SIGTERM",
        play!(consumers::scaled_by_sigterm),
    ),
    Row::new(
        "scale-kill",
        "consumers 1→4→1 by kill -9",
        play!(consumers::scaled_by_kill),
    ),
    Row::new(
        "clock",
        "consumer's clock steps by an hour",
        play!(consumers::clock_steps),
    ),
    Row::new(
        "backlog",
        "events pile up while no consumer runs",
        play!(backlog::drained_flat),
    ),
    Row::new(
        "redrive",
        "redrive killed again and again",
        play!(redrive::interrupted),
    ),
];

/// Sends more events at once than any other row, because the memory of the programs after this
/// row is the baseline.
async fn no_fault(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send(Rate {
        senders: 256,
        ..Rate::burst(act.size.pick(10_000, 50_000))
    })?;
    act.all_accepted().await
}
