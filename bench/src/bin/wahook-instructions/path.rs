//! Paths of an event that are counted, and the code that runs them.

use std::hint::black_box;

use bytes::Bytes;
use clap::ValueEnum;
use wahook_bench::{
    accept::Acceptance,
    deliver::{Answer, BATCH, Delivery, written},
    fixed::{self, USUAL},
    wire::Carried,
};
use wahook_queue::Outgoing;

/// Path of an event of 400 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Path {
    /// From the request to the message and the answer
    Accept,
    /// From the message to the record of an answer 200
    Deliver,
    /// From the message to the retry and the record of an answer 503
    Retry,
}

impl Path {
    pub(crate) const ALL: [Self; 3] = [Self::Accept, Self::Deliver, Self::Retry];

    /// Returns the name in the figures file and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Deliver => "deliver",
            Self::Retry => "retry",
        }
    }

    /// Runs the path for this number of events.
    pub(crate) fn run(self, events: u32) -> anyhow::Result<()> {
        match self {
            Self::Accept => accept(events),
            Self::Deliver => deliver(events, &Answer::taken()),
            Self::Retry => deliver(events, &Answer::unavailable()),
        }
    }
}

fn accept(events: u32) -> anyhow::Result<()> {
    let acceptance = Acceptance::new()?;
    for number in 0..events {
        let event = Bytes::from(fixed::event(number, USUAL));
        black_box(acceptance.take(event)?);
    }
    Ok(())
}

/// Delivers events and writes their results in batches of [`BATCH`], as under load.
fn deliver(events: u32, answer: &Answer) -> anyhow::Result<()> {
    let delivery = Delivery::new()?;
    let event = fixed::queued(&fixed::event(0, USUAL))?;
    let message = Carried::write(Outgoing::event(&event))?;
    let mut results = Vec::with_capacity(BATCH);
    for _ in 0..events {
        results.push(delivery.deliver(&message, answer)?);
        if results.len() == BATCH {
            black_box(written(&results)?);
            results.clear();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_runs() {
        for path in Path::ALL {
            path.run(2 * u32::try_from(BATCH).unwrap()).unwrap();
        }
    }
}
