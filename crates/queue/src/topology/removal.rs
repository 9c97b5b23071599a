//! Removal of bindings that are no longer needed.

use std::{collections::HashSet, mem};

use wahook_domain::{EndpointName, EventPattern, Lanes};

use super::{
    model::{Binding, Keyed, Target, Topology},
    names::{endpoint_of, work_queue},
};

impl Topology {
    /// Topology that removes the bindings of an endpoint with these patterns and
    /// lanes: its queues and the events in them stay, and receive no new ones.
    #[must_use]
    pub fn unbound(
        endpoint: &EndpointName,
        patterns: &[EventPattern],
        lanes: Option<Lanes>,
    ) -> Self {
        let mut bound = Self::default();
        bound.add_endpoint(endpoint, patterns, lanes);
        let by_key = Self::by_key([(endpoint, patterns, lanes)]);
        // Other endpoints need the exchanges of events, and their bindings.
        let of_queues = by_key.bindings.into_iter().filter(
            |binding| matches!(&binding.to, Target::Queue(queue) if endpoint_of(queue).is_some()),
        );
        let keyed = Keyed {
            topology: Self {
                obsolete: of_queues.chain(by_key.obsolete).collect(),
                ..Self::default()
            },
            is_needed: false,
        };
        Self {
            obsolete: bound.bindings.into_iter().chain(bound.obsolete).collect(),
            keyed: Some(Box::new(keyed)),
            ..Self::default()
        }
    }

    /// Topology that keeps the lanes which an endpoint had with other settings, for the
    /// events in them, and removes their bindings, except those that `needed` has.
    #[must_use]
    pub fn earlier_lanes(
        endpoint: &EndpointName,
        patterns: &[EventPattern],
        lanes: Lanes,
        needed: &Self,
    ) -> Self {
        let mut bound = Self::default();
        bound.add_endpoint(endpoint, patterns, Some(lanes));
        let mut earlier = Self::unbound(endpoint, patterns, Some(lanes));
        earlier.queues = bound.queues;
        let work = work_queue(endpoint);
        earlier.queues.retain(|queue| queue.name != work);
        earlier.keep(needed);
        if let (Some(keyed), Some(needed)) = (&mut earlier.keyed, &needed.keyed) {
            keyed.topology.keep(&needed.topology);
        }
        earlier
    }

    fn keep(&mut self, needed: &Self) {
        let needed: HashSet<&Binding> = needed.bindings.iter().collect();
        self.obsolete.retain(|binding| !needed.contains(binding));
    }

    /// Adds those bindings of `previous` that this topology lacks to its
    /// obsolete ones. They are removed only after the new ones exist, so that
    /// no event that both route is lost in between.
    #[must_use]
    pub fn replacing(mut self, previous: &Self) -> Self {
        let kept: HashSet<&Binding> = self.bindings.iter().chain(&self.obsolete).collect();
        let before = previous.bindings.iter().chain(&previous.obsolete);
        let mut obsolete: Vec<Binding> = before
            .filter(|binding| !kept.contains(binding))
            .cloned()
            .collect();
        self.obsolete.append(&mut obsolete);
        if let (Some(keyed), Some(previous)) = (&mut self.keyed, &previous.keyed) {
            let next = mem::take(&mut keyed.topology);
            keyed.topology = next.replacing(&previous.topology);
        }
        self
    }
}
