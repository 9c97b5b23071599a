//! Queue that all consumers of an endpoint share: its work queue, or another one of its shared
//! lanes.

use std::sync::Arc;
use wahook_domain::{EndpointName, LaneCount};
use wahook_queue::topology;

use crate::{
    deliverer::Deliverer,
    memory::{MemoryShare, Prefetch},
};

/// Queue of an endpoint. Outlives connections and changes of the endpoint's settings.
pub(crate) struct WorkQueue {
    pub(crate) name: String,
    /// Number of lanes that it is one of; `None` for the work queue, which is the first lane of
    /// any number.
    lanes: Option<LaneCount>,
    /// Memory of its messages.
    pub(crate) memory: Arc<MemoryShare>,
}

impl WorkQueue {
    /// Creates the work queue of an endpoint, without a limit of memory.
    pub(crate) fn of(endpoint: &EndpointName) -> Self {
        Self::new(topology::work_queue(endpoint), None)
    }

    /// Creates another queue of an endpoint that has or had this number of shared lanes.
    pub(crate) fn of_lane(queue: String, lanes: LaneCount) -> Self {
        Self::new(queue, Some(lanes))
    }

    fn new(name: String, lanes: Option<LaneCount>) -> Self {
        Self {
            memory: Arc::new(MemoryShare::of(name.clone())),
            name,
            lanes,
        }
    }

    /// Returns true for the work queue, which each endpoint has.
    pub(crate) fn is_first(&self) -> bool {
        self.lanes.is_none()
    }

    /// Returns true if the endpoint's settings need the queue. Any other one may be deleted once it
    /// is empty.
    pub(crate) fn is_needed(&self, endpoint: &Deliverer) -> bool {
        let needed = endpoint.settings.shared_lanes;
        self.lanes.is_none_or(|lanes| lanes == needed)
    }

    /// Returns the part of the endpoint's prefetch for this queue, so that all of its queues
    /// together have no more messages than one.
    pub(crate) fn by_rate(&self, endpoint: &Deliverer) -> u16 {
        let prefetch = endpoint.admission.prefetch();
        self.part_of(prefetch, endpoint.settings.shared_lanes)
    }

    /// Returns its part of the prefetch of an endpoint with `lanes` shared lanes.
    fn part_of(&self, prefetch: u16, lanes: LaneCount) -> u16 {
        let lanes = self.lanes.unwrap_or(lanes);
        prefetch.div_ceil(lanes.get().into())
    }

    /// Returns the limits of the number of unacked messages.
    pub(crate) fn prefetch(&self, endpoint: &Deliverer) -> Prefetch {
        self.memory.prefetch(self.by_rate(endpoint))
    }

    /// Sets the memory to this queue's part of that of an endpoint with `lanes` shared lanes.
    pub(crate) fn set_memory(&self, bytes: usize, lanes: LaneCount) {
        let lanes = self.lanes.unwrap_or(lanes);
        self.memory.set_bytes(bytes / usize::from(lanes.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_has_its_part_of_the_prefetch_and_of_the_memory() {
        let crm = EndpointName::parse("crm").unwrap();
        let (four, sixteen) = (LaneCount::new(4).unwrap(), LaneCount::new(16).unwrap());
        let first = WorkQueue::of(&crm);
        let other = WorkQueue::of_lane("wahook.deliver.16.3.crm".to_owned(), sixteen);
        for (queue, lanes, prefetch, part) in [
            (&first, LaneCount::ONE, 896, 896),
            (&first, four, 896, 224),
            (&first, four, 1, 1),
            // Also after another number was set.
            (&other, sixteen, 896, 56),
            (&other, four, 896, 56),
        ] {
            assert_eq!(queue.part_of(prefetch, lanes), part);
        }
        for (queue, lanes, fits) in [(&first, four, 250), (&other, four, 62)] {
            queue.set_memory(1_000, lanes);
            let held = queue.memory.hold(1);
            assert!(queue.memory.try_hold(fits - 1).is_some());
            assert!(queue.memory.try_hold(fits).is_none());
            drop(held);
        }
    }
}
