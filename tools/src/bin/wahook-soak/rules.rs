//! Measures that must be flat, and their bounds. `docs/performance/soak.md` states them.

/// Measure of the samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rule {
    pub(crate) what: &'static str,
    pub(crate) column: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) bound: Bound,
    /// Leaves out intervals with a disturbance.
    pub(crate) undisturbed: bool,
}

/// Permitted change of a measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    /// Rise by a share of the first level, or by `least` if that is more.
    Rise { share: f64, least: Least },
    /// Fall by a share of the first level.
    Fall { share: f64 },
    /// Any change: the measure is for information.
    Free,
}

/// Smallest permitted change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Least {
    /// In the unit of the measure.
    Fixed(f64),
    /// Number of events that are sent in this many seconds.
    Seconds(f64),
}

const MEMORY: Bound = rise(0.10, 3.0);
const HANDLES: Bound = rise(0.10, 4.0);
const QUEUE: Bound = Bound::Rise {
    share: 0.10,
    least: Least::Seconds(0.25),
};
const TYPICAL: Bound = rise(0.25, 1.0);
const SLOWEST: Bound = rise(0.50, 10.0);
const NO_LETTERS: Bound = rise(0.0, 0.0);

pub(crate) static RULES: [Rule; 24] = [
    of("memory of the producer", "producer_mib", "MiB", MEMORY),
    of("memory of the consumer", "consumer_mib", "MiB", MEMORY),
    of("open files of the producer", "producer_files", "", HANDLES),
    of("open files of the consumer", "consumer_files", "", HANDLES),
    of("threads of the producer", "producer_threads", "", HANDLES),
    of("threads of the consumer", "consumer_threads", "", HANDLES),
    of(
        "connections of the producer",
        "producer_connections",
        "",
        HANDLES,
    ),
    of(
        "connections of the consumer",
        "consumer_connections",
        "",
        HANDLES,
    ),
    of("queue of `plain`", "queue_plain", "events", QUEUE),
    of("queues of `ordered`", "queue_ordered", "events", QUEUE),
    of("queues of retries", "queue_retries", "events", QUEUE),
    of(
        "queue of unwritten results",
        "queue_results",
        "results",
        QUEUE,
    ),
    of("dead letters", "queue_dead", "events", NO_LETTERS),
    of("undelivered to `plain`", "pending_plain", "events", QUEUE),
    of(
        "undelivered to `ordered`",
        "pending_ordered",
        "events",
        QUEUE,
    ),
    of(
        "accepted per second",
        "accepted_per_second",
        "events",
        Bound::Fall { share: 0.05 },
    ),
    latency("latency p50, `plain`", "plain_p50_ms", TYPICAL),
    latency("latency p99, `plain`", "plain_p99_ms", SLOWEST),
    latency("latency p50, `ordered`", "ordered_p50_ms", TYPICAL),
    latency("latency p99, `ordered`", "ordered_p99_ms", SLOWEST),
    of("memory of the broker", "broker_mib", "MiB", Bound::Free),
    of("memory of mongod", "mongod_mib", "MiB", Bound::Free),
    of(
        "processors, all of the run",
        "own_cpu",
        "cores",
        Bound::Free,
    ),
    of("processors, others", "other_cpu", "cores", Bound::Free),
];

const fn of(what: &'static str, column: &'static str, unit: &'static str, bound: Bound) -> Rule {
    Rule {
        what,
        column,
        unit,
        bound,
        undisturbed: false,
    }
}

const fn latency(what: &'static str, column: &'static str, bound: Bound) -> Rule {
    Rule {
        what,
        column,
        unit: "ms",
        bound,
        undisturbed: true,
    }
}

const fn rise(share: f64, least: f64) -> Bound {
    Bound::Rise {
        share,
        least: Least::Fixed(least),
    }
}

impl Bound {
    /// Returns the permitted change from this level, with events sent at `rate`.
    pub(crate) fn allowed(self, level: f64, rate: f64) -> f64 {
        match self {
            Self::Rise { share, least } => {
                let least = match least {
                    Least::Fixed(least) => least,
                    Least::Seconds(seconds) => seconds * rate,
                };
                least.max(share * level)
            }
            Self::Fall { share } => share * level,
            Self::Free => f64::INFINITY,
        }
    }

    /// Returns true if this change, from a level to a later one, is permitted.
    pub(crate) fn permits(self, change: f64, allowed: f64) -> bool {
        match self {
            Self::Rise { .. } => change <= allowed,
            Self::Fall { .. } => -change <= allowed,
            Self::Free => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::COLUMNS;

    #[test]
    fn every_rule_has_a_column() {
        for rule in RULES {
            assert!(COLUMNS.contains(&rule.column), "{rule:?}");
        }
    }

    #[test]
    fn bounds_are_a_share_or_the_least_change() {
        assert_eq!(MEMORY.allowed(20.0, 1e3), 3.0);
        assert_eq!(MEMORY.allowed(50.0, 1e3), 5.0);
        assert_eq!(QUEUE.allowed(10.0, 1e3), 250.0);
        assert!(MEMORY.permits(3.0, 3.0) && !MEMORY.permits(3.1, 3.0));
        assert!(MEMORY.permits(-9.0, 3.0));
        let fall = Bound::Fall { share: 0.05 };
        assert_eq!(fall.allowed(100.0, 1e3), 5.0);
        assert!(fall.permits(9.0, 5.0) && !fall.permits(-5.1, 5.0));
        assert!(Bound::Free.permits(1e9, Bound::Free.allowed(0.0, 1.0)));
    }
}
