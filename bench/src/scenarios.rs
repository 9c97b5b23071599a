//! Scenarios of the benchmark.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};

use crate::lab::{Lab, Subject};
use crate::load::Shape;
use crate::run::{self, Draining, Figures};
use crate::sink::Behaviour;

/// Percentage of events per run; published figures use 100.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale(pub(crate) u32);

impl Scale {
    fn of(self, events: u64) -> u64 {
        (events * u64::from(self.0) / 100).max(100)
    }
}

pub(crate) struct Scenario {
    /// Name on the command line.
    pub(crate) name: &'static str,
    /// Label in the tables.
    pub(crate) what: &'static str,
    kind: Kind,
    /// True if the floor has no counterpart.
    pub(crate) only_wahook: bool,
    /// True if one run suffices: it takes minutes and checks a bound, not a median.
    pub(crate) once: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Ingest {
        shape: Shape,
        connections: usize,
        events: u64,
    },
    Drain(Draining),
    EndToEnd(Draining),
    OneProcess {
        events: u64,
    },
    Latency(Behaviour),
}

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
    lanes: None,
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
            Kind::OneProcess { events: 50_000 },
        )
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
    // Last, because producers route all later events by their keys. The events of 2,000 chats.
    Scenario {
        only_wahook: true,
        ..both(
            "ordered",
            "end to end, order per chat, 8 lanes",
            Kind::EndToEnd(Draining {
                lanes: Some(8),
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

impl Scenario {
    pub(crate) fn is_about_latency(&self) -> bool {
        matches!(self.kind, Kind::Latency(_))
    }

    /// Returns the number of runs if `wanted` are requested.
    pub(crate) fn runs(&self, wanted: u32) -> u32 {
        if self.once { wanted.min(1) } else { wanted }
    }

    pub(crate) fn run<'a>(
        &self,
        lab: &'a Lab,
        subject: Subject,
        scale: Scale,
    ) -> BoxFuture<'a, anyhow::Result<Figures>> {
        let scaled = |draining: Draining| Draining {
            events: scale.of(draining.events),
            ..draining
        };
        match self.kind {
            Kind::Ingest {
                shape,
                connections,
                events,
            } => run::ingest(lab, subject, (shape, connections), scale.of(events)).boxed(),
            Kind::Drain(draining) => run::drain(lab, subject, scaled(draining)).boxed(),
            Kind::EndToEnd(draining) => run::end_to_end(lab, subject, scaled(draining)).boxed(),
            Kind::OneProcess { events } => run::one_process(lab, scale.of(events)).boxed(),
            Kind::Latency(behaviour) => {
                let seconds = scale.of(3_000).div_ceil(200);
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
                run::latency(lab, subject, behaviour, (200, seconds)).boxed()
            }
        }
    }
}
