//! Counts of deliveries by endpoint and location.

use std::collections::{BTreeMap, BTreeSet};
use wahook_domain::{EndpointName, WaitStep};

use super::classify::Location;

/// Deliveries accounted for.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) endpoints: BTreeMap<EndpointName, Counts>,
    /// Delays of the wait queues that must hold messages.
    pub(super) wait_queues: BTreeSet<WaitStep>,
    /// Documents in the log that are not from wahook.
    pub(super) foreign: u64,
}

/// Counts of one endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Counts {
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) retrying: u64,
    pub(super) queued: u64,
    /// Retrying and queued deliveries whose message was found in the work queue.
    #[serde(skip)]
    pub(super) seen_in_queue: u64,
}

impl Tally {
    pub(super) fn add(&mut self, endpoint: &EndpointName, location: Location, seen_in_queue: bool) {
        let counts = match self.endpoints.get_mut(endpoint) {
            Some(counts) => counts,
            None => self.endpoints.entry(endpoint.clone()).or_default(),
        };
        match location {
            Location::Delivered => counts.delivered += 1,
            Location::Failed => counts.failed += 1,
            Location::Retrying => counts.retrying += 1,
            Location::Queued => counts.queued += 1,
        }
        counts.seen_in_queue += u64::from(seen_in_queue);
    }

    /// Adds a work queue's messages that have no record yet. They are not read, so they
    /// may have been accepted at any time.
    pub(super) fn add_unread(&mut self, endpoint: &EndpointName, messages: u32) {
        let counts = self.endpoints.entry(endpoint.clone()).or_default();
        counts.queued += u64::from(messages).saturating_sub(counts.seen_in_queue);
    }

    pub(super) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.endpoints.values() {
            total.delivered += counts.delivered;
            total.failed += counts.failed;
            total.retrying += counts.retrying;
            total.queued += counts.queued;
        }
        total
    }
}

impl Counts {
    pub(super) fn sum(self) -> u64 {
        self.delivered + self.failed + self.retrying + self.queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_found_by_id_is_counted_once() {
        let (mut tally, endpoint) = (Tally::default(), EndpointName::default());
        tally.add(&endpoint, Location::Retrying, true);
        tally.add(&endpoint, Location::Queued, true);
        tally.add(&endpoint, Location::Delivered, false);
        tally.add_unread(&endpoint, 5);
        let total = tally.total();
        assert_eq!((total.retrying, total.queued, total.delivered), (1, 4, 1));
        assert_eq!(total.sum(), 6);
    }
}
