//! All scenarios, in the order in which they run.

use std::time::Duration;

use super::{Kind, Scenario};
use crate::load::Shape;
use crate::queues::Queues;
use crate::run::{CONNECTIONS, Draining, OneProcess};
use crate::search::Store;
use crate::sink::Behaviour;

const INSTANT: Behaviour = Behaviour {
    delay: Duration::ZERO,
    fails_a_tenth: false,
};
const FAILING: Behaviour = Behaviour {
    delay: Duration::ZERO,
    fails_a_tenth: true,
};

const fn slow(millis: u64) -> Behaviour {
    Behaviour {
        delay: Duration::from_millis(millis),
        fails_a_tenth: false,
    }
}

/// 400-byte events to an instant webhook, at the default concurrency.
const USUAL: Draining = Draining {
    consumers: 1,
    concurrency: 128,
    behaviour: INSTANT,
    events: 50_000,
    bytes: 400,
    queues: Queues::One,
    unindexed: false,
};

/// The same, through the single process.
const USUAL_ONE_PROCESS: OneProcess = OneProcess {
    connections: CONNECTIONS,
    behaviour: INSTANT,
    events: 50_000,
    bytes: 400,
    unindexed: false,
};

/// Four queues of one endpoint, without an order.
const FOUR_LANES: Draining = Draining {
    queues: Queues::Shared(4),
    ..USUAL
};

pub(crate) const ALL: &[Scenario] = &[
    both(
        "ingest",
        "ingest, 64 connections",
        Kind::Ingest {
            shape: Shape::Single,
            connections: 64,
            events: 50_000,
        },
    ),
    both(
        "ingest-batch",
        "ingest, batches of 500, 4 connections",
        Kind::Ingest {
            shape: Shape::Batch(500),
            connections: 4,
            events: 100_000,
        },
    ),
    both("drain", "drain of 50,000", Kind::Drain(USUAL)),
    both(
        "drain-2",
        "drain, 2 consumers",
        Kind::Drain(Draining {
            consumers: 2,
            ..USUAL
        }),
    ),
    both(
        "drain-4",
        "drain, 4 consumers",
        Kind::Drain(Draining {
            consumers: 4,
            ..USUAL
        }),
    ),
    // Enough requests in flight that a delay of 50 ms is no limit: 41,000 events/s.
    both(
        "drain-wide",
        "drain, 2,048 in flight",
        Kind::Drain(Draining {
            concurrency: 2_048,
            ..USUAL
        }),
    ),
    both(
        "drain-50ms",
        "drain, 50 ms webhook, 2,048 in flight",
        Kind::Drain(Draining {
            concurrency: 2_048,
            behaviour: slow(50),
            ..USUAL
        }),
    ),
    both(
        "drain-500ms",
        "drain, 500 ms webhook, 1,024 in flight",
        Kind::Drain(Draining {
            concurrency: 1_024,
            behaviour: slow(500),
            events: 20_000,
            ..USUAL
        }),
    ),
    both(
        "drain-300b",
        "drain, 300 bytes",
        Kind::Drain(Draining {
            bytes: 300,
            ..USUAL
        }),
    ),
    both(
        "drain-4k",
        "drain, 4 KiB",
        Kind::Drain(Draining {
            bytes: 4_096,
            events: 20_000,
            ..USUAL
        }),
    ),
    both(
        "drain-100k",
        "drain, 100 KiB",
        Kind::Drain(Draining {
            bytes: 102_400,
            events: 2_000,
            ..USUAL
        }),
    ),
    // Memory must not grow with the queue: compare the two peaks.
    Scenario {
        only_wahook: true,
        once: true,
        ..both(
            "ten-thousand",
            "drain of 10,000",
            Kind::Drain(Draining {
                events: 10_000,
                ..USUAL
            }),
        )
    },
    Scenario {
        only_wahook: true,
        once: true,
        ..both(
            "million",
            "drain of 1,000,000",
            Kind::Drain(Draining {
                events: 1_000_000,
                ..USUAL
            }),
        )
    },
    both(
        "end-to-end",
        "end to end, 64 connections",
        Kind::EndToEnd(USUAL),
    ),
    Scenario {
        only_wahook: true,
        ..both(
            "one-process",
            "end to end, single process on its file",
            Kind::OneProcess(USUAL_ONE_PROCESS),
        )
    },
    Scenario {
        only_wahook: true,
        ..both(
            "unindexed",
            "end to end, without the search index",
            Kind::EndToEnd(Draining {
                unindexed: true,
                ..USUAL
            }),
        )
    },
    Scenario {
        only_wahook: true,
        ..both(
            "one-process-unindexed",
            "end to end, single process, without the search index",
            Kind::OneProcess(OneProcess {
                unindexed: true,
                ..USUAL_ONE_PROCESS
            }),
        )
    },
    // Checks the peak of memory: a gateway that posts media, one after the other.
    Scenario {
        only_wahook: true,
        once: true,
        ..both(
            "one-process-10m",
            "single process, 40 of 10 MB, 1 s webhook",
            Kind::OneProcess(OneProcess {
                connections: 1,
                behaviour: slow(1_000),
                events: 40,
                bytes: 10_000_000,
                unindexed: false,
            }),
        )
    },
    Scenario {
        only_wahook: true,
        once: true,
        ..both("console", "MongoDB", Kind::Search(Store::MongoDb))
    },
    Scenario {
        only_wahook: true,
        once: true,
        ..both("console-file", "data file", Kind::Search(Store::DataFile))
    },
    Scenario {
        only_wahook: true,
        ..both(
            "failures",
            "end to end, 10 % fail once",
            Kind::EndToEnd(Draining {
                behaviour: FAILING,
                ..USUAL
            }),
        )
    },
    both("latency", "latency at 200 events/s", Kind::Latency(INSTANT)),
    Scenario {
        only_wahook: true,
        ..both(
            "latency-failures",
            "latency at 200 events/s, 10 % fail once",
            Kind::Latency(FAILING),
        )
    },
    // These are last, because producers route all later events by their keys. The events of 2,000
    // chats.
    Scenario {
        only_wahook: true,
        ..both("lanes", "end to end, 4 lanes", Kind::EndToEnd(FOUR_LANES))
    },
    Scenario {
        only_wahook: true,
        ..both("lanes-drain", "drain, 4 lanes", Kind::Drain(FOUR_LANES))
    },
    Scenario {
        only_wahook: true,
        ..both(
            "ordered",
            "end to end, order per chat, 8 lanes",
            Kind::EndToEnd(Draining {
                queues: Queues::Ordered(8),
                ..USUAL
            }),
        )
    },
];

const fn both(name: &'static str, what: &'static str, kind: Kind) -> Scenario {
    Scenario {
        name,
        what,
        kind,
        only_wahook: false,
        once: false,
    }
}
