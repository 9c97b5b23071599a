//! Scenarios of the benchmark.

mod list;

use futures_util::future::{BoxFuture, FutureExt};

use crate::figures::Figures;
use crate::lab::{Lab, Subject};
use crate::load::Shape;
use crate::run::{self, Draining, OneProcess};
use crate::search::{self, Store};
use crate::sink::Behaviour;
pub(crate) use list::ALL;

/// Percentage of events per run; published figures use 100.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale(pub(crate) u32);

impl Scale {
    fn of(self, events: u64) -> u64 {
        (events * u64::from(self.0) / 100).max(events.min(100))
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

/// Table that shows a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Rate,
    Latency,
    Search,
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
    OneProcess(OneProcess),
    /// Searches of the console.
    Search(Store),
    Latency(Behaviour),
}

impl Scenario {
    pub(crate) fn table(&self) -> Table {
        match self.kind {
            Kind::Latency(_) => Table::Latency,
            Kind::Search(_) => Table::Search,
            _ => Table::Rate,
        }
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
            Kind::OneProcess(run) => {
                let events = scale.of(run.events);
                run::one_process(lab, OneProcess { events, ..run }).boxed()
            }
            Kind::Search(store) => search::measure(lab, store).boxed(),
            Kind::Latency(behaviour) => {
                let seconds = scale.of(3_000).div_ceil(200);
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
                run::latency(lab, subject, behaviour, (200, seconds)).boxed()
            }
        }
    }
}
