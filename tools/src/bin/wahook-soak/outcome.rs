//! Counts at the end of a run.

use crate::arrivals::{Arrivals, Endpoint};
use crate::load::Accepted;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Accepted events of the run.
    pub(crate) accepted: u64,
    /// Events of the schedule that were not sent, because earlier ones took too long.
    pub(crate) skipped: u64,
    /// Requests that were repeated, because they were refused or not answered.
    pub(crate) refused: u64,
    /// Accepted events that an endpoint has not answered with 200.
    pub(crate) lost: [u64; 2],
    /// First attempts and first successes at the ordered endpoint that came after those of a
    /// later event of their chat.
    pub(crate) inversions: [u64; 2],
    /// Attempts for events that had been delivered.
    pub(crate) repeats: u64,
    pub(crate) dead_letters: u64,
}

impl Outcome {
    /// Adds the counts of the webhook; the events accepted before the run count, too.
    pub(crate) fn arrived(&mut self, accepted: &Accepted, arrivals: &Arrivals) {
        self.lost = Endpoint::BOTH.map(|endpoint| {
            let ledger = arrivals.ledger(endpoint);
            let lost = accepted
                .numbers()
                .filter(|number| !ledger.is_delivered(*number));
            lost.count() as u64
        });
        self.inversions = arrivals.ledger(Endpoint::Ordered).inversions();
    }

    /// Returns what must not be.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (endpoint, lost) in Endpoint::BOTH.into_iter().zip(self.lost) {
            if lost > 0 {
                faults.push(format!("{lost} events lost at {}", endpoint.name()));
            }
        }
        let [attempts, successes] = self.inversions;
        if attempts + successes > 0 {
            faults.push(format!(
                "order broken: {attempts} first attempts and {successes} first successes came too late"
            ));
        }
        if self.dead_letters > 0 {
            faults.push(format!("{} dead letters", self.dead_letters));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_events_broken_order_and_dead_letters_are_faults() {
        let good = Outcome {
            accepted: 9,
            skipped: 3,
            refused: 2,
            repeats: 1,
            ..Outcome::default()
        };
        assert_eq!(good.faults(), Vec::<String>::new());
        let bad = Outcome {
            lost: [0, 7],
            inversions: [1, 0],
            dead_letters: 2,
            ..good
        };
        let faults = bad.faults();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert_eq!(faults[0], "7 events lost at ordered");
    }
}
