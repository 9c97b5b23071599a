//! Capacity model: resources per event rate, calculated from measured costs. Pure.
//! `docs/performance/scaling.md` shows the table and states the assumptions.

use std::fmt::Write;

/// Measured costs, and assumptions for the rest.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    /// Microseconds of one core per event or per delivery.
    producer: f64,
    broker_in: f64,
    consumer: f64,
    broker_out: f64,
    log: f64,
    /// Cost of a follower in the broker's cluster, as a fraction of the leader's cost.
    follower: f64,
    /// Utilisation of a core above which queues build up.
    busy: f64,
    /// Attempts per event.
    attempts: f64,
    /// Events per second that one quorum queue accepts, or delivers and settles, if it does
    /// nothing else.
    queue_in: f64,
    queue_out: f64,
    /// Results per second that one primary of the log accepts, independent of its cores.
    primary: f64,
    /// Bytes of an event on the wire, with properties, headers and frames.
    bytes: f64,
    /// Passes of an event's bytes through the broker's network: in, to two followers, out.
    passes: f64,
}

/// `docs/performance/scaling.md` names the source of each value.
const INPUTS: Inputs = Inputs {
    producer: 30.0,
    broker_in: 43.0,
    consumer: 34.0,
    broker_out: 19.0,
    log: 28.0,
    follower: 0.5,
    busy: 0.7,
    attempts: 1.05,
    queue_in: 62_000.0,
    queue_out: 32_000.0,
    primary: 20_000.0,
    bytes: 900.0,
    passes: 4.0,
};

const RATES: [u32; 8] = [100, 1_000, 5_000, 10_000, 15_000, 25_000, 50_000, 100_000];

/// Resources for one rate.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Needs {
    producer_cores: f64,
    consumer_cores: f64,
    /// Cores of all three nodes together.
    broker_cores: f64,
    log_cores: f64,
    /// Queues needed for the events of one endpoint.
    queues: f64,
    shards: f64,
    /// Traffic of the broker's network, in Mbit/s.
    network: f64,
}

impl Inputs {
    fn needs(&self, rate: f64) -> Needs {
        let deliveries = rate * self.attempts;
        let cores = |per_second: f64, micros: f64| per_second * micros / 1e6 / self.busy;
        let leader = cores(rate, self.broker_in) + cores(deliveries, self.broker_out);
        Needs {
            producer_cores: cores(rate, self.producer),
            consumer_cores: cores(deliveries, self.consumer),
            broker_cores: leader * (1.0 + 2.0 * self.follower),
            log_cores: cores(deliveries, self.log),
            queues: (rate / self.per_queue()).ceil(),
            shards: (deliveries / self.primary).ceil(),
            network: rate * self.bytes * self.passes * 8.0 / 1e6,
        }
    }

    /// Returns the events per second of one queue. A queue is one process in the broker, so
    /// accepting and delivering take turns.
    fn per_queue(&self) -> f64 {
        let turn = 1.0 / self.queue_in + self.attempts / self.queue_out;
        self.busy / turn
    }
}

/// Returns the table of `docs/performance/scaling.md`.
pub(crate) fn table() -> String {
    let mut text = "| events/s | producer cores | consumer cores | broker cores (3 nodes) | MongoDB cores | queues per endpoint | MongoDB shards | broker network, Mbit/s |\n\
         |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for rate in RATES {
        let needs = INPUTS.needs(rate.into());
        let _infallible = writeln!(
            text,
            "| {rate} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} |",
            needs.producer_cores,
            needs.consumer_cores,
            needs.broker_cores,
            needs.log_cores,
            needs.queues,
            needs.shards,
            needs.network,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_page_contains_the_model_table() {
        let document = include_str!("../../docs/performance/scaling.md");
        assert!(document.contains(&table()), "{}", table());
    }

    #[test]
    fn needs_grow_with_the_rate_and_start_at_one_queue_and_shard() {
        let needs = RATES.map(|rate| INPUTS.needs(rate.into()));
        for pair in needs.windows(2) {
            assert!(pair[0].consumer_cores < pair[1].consumer_cores);
            assert!(pair[0].queues <= pair[1].queues);
        }
        assert!(needs[0].queues == 1.0 && needs[0].shards == 1.0);
    }

    #[test]
    fn fully_busy_core_handles_the_inverse_of_its_cost() {
        let inputs = Inputs {
            busy: 1.0,
            attempts: 1.0,
            consumer: 100.0,
            ..INPUTS
        };
        assert!((inputs.needs(10_000.0).consumer_cores - 1.0).abs() < 1e-9);
    }
}
