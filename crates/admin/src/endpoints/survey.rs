//! State of all endpoints, and the reasons for which one can't be emptied or filled.

use std::collections::{BTreeMap, BTreeSet};
use wahook_domain::{EndpointName, EventName, EventPattern, KnownEvent, LaneCount, Lanes};
use wahook_queue::{
    AbsentQueues, EndpointQueue, EndpointQueues, LookError,
    topology::{queues_of_lanes, work_queue},
};

/// State of all endpoints that are configured or known.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Endpoints that have a queue.
    pub(super) queues: BTreeMap<EndpointName, EndpointQueue>,
    /// Patterns that consumers have declared.
    declared: BTreeMap<EndpointName, BTreeSet<EventPattern>>,
    /// Lanes that consumers have declared.
    lanes: BTreeMap<EndpointName, BTreeSet<Lanes>>,
    /// Endpoints of the settings; `None` for a data file.
    configured: Option<BTreeSet<EndpointName>>,
}

/// Reasons for which the events of an endpoint are not moved.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0} and {0} are the same endpoint")]
    Same(EndpointName),
    #[error(
        "endpoint {0} is still configured, so its events are delivered: remove it from the \
         settings, and restart what delivers"
    )]
    StillConfigured(EndpointName),
    #[error(
        "endpoint {0} is served by {1} consumers with other settings: reload them by SIGHUP and \
         restart them, or stop them"
    )]
    StillServed(EndpointName, u32),
    #[error(
        "endpoint {0} is not configured, so the events would not be delivered: add it to the \
         settings, and start what delivers"
    )]
    NotConfigured(EndpointName),
    #[error("endpoint {0} has no queue: start a consumer with its settings first")]
    NoQueue(EndpointName),
}

impl Survey {
    /// Reads the state of the endpoints that are configured, registered or `named`.
    pub(super) async fn read(
        queues: &EndpointQueues,
        configured: Option<BTreeSet<EndpointName>>,
        named: BTreeSet<EndpointName>,
    ) -> Result<Self, LookError> {
        let mut declared: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut lanes: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let known = queues.register(&BTreeSet::new()).await?;
        for declaration in &known {
            let of_endpoint = lanes.entry(declaration.endpoint.clone()).or_default();
            of_endpoint.extend(declaration.lanes);
            let patterns = declared.entry(declaration.endpoint.clone()).or_default();
            patterns.extend(declaration.patterns.iter().cloned());
        }
        let mut names = named;
        names.insert(EndpointName::default());
        names.extend(declared.keys().cloned());
        names.extend(configured.iter().flatten().cloned());
        let absent = &mut AbsentQueues::default();
        Ok(Self {
            queues: queues.census(&names, &known, absent).await?,
            declared,
            lanes,
            configured,
        })
    }

    /// Returns the lanes that the endpoint has or had.
    fn lanes(&self, endpoint: &EndpointName) -> BTreeSet<Lanes> {
        let declared = self.lanes.get(endpoint).into_iter().flatten().copied();
        // A data file has one lane and no declarations.
        let is_file = self.configured.is_none();
        let of_file = is_file.then_some(Lanes::Ordered(LaneCount::ONE));
        declared.chain(of_file).collect()
    }

    /// Returns the queues that the endpoint has or had.
    pub(super) fn queues(&self, endpoint: &EndpointName) -> Vec<String> {
        let lanes = self.lanes(endpoint).into_iter();
        let lanes = lanes.flat_map(|lanes| queues_of_lanes(endpoint, lanes));
        [work_queue(endpoint)].into_iter().chain(lanes).collect()
    }

    /// Returns true if consumers deliver the endpoint's events.
    pub(super) fn is_configured(&self, endpoint: &EndpointName) -> bool {
        match &self.configured {
            Some(configured) => configured.contains(endpoint),
            None => {
                let queue = self.queues.get(endpoint);
                queue.and_then(|queue| queue.is_served).unwrap_or_default()
            }
        }
    }

    /// Returns the configured endpoints and those that have a queue.
    pub(super) fn endpoints(&self) -> BTreeSet<&EndpointName> {
        let configured = self.configured.iter().flatten();
        self.queues.keys().chain(configured).collect()
    }

    /// Returns the lanes and patterns by which events may be routed to the endpoint. Without lanes
    /// these are also the patterns of known events and of all events, for an endpoint that an
    /// earlier version declared. Such a version has no lanes.
    pub(super) fn routes(
        &self,
        endpoint: &EndpointName,
    ) -> Vec<(Option<Lanes>, Vec<EventPattern>)> {
        let declared = self.declared.get(endpoint).into_iter().flatten();
        let declared: BTreeSet<_> = declared.cloned().collect();
        let known = KnownEvent::ALL.map(EventName::from).into_iter();
        let mut any: BTreeSet<_> = known.map(EventPattern::Exactly).collect();
        any.insert(EventPattern::Every);
        any.extend(declared.iter().cloned());
        let declared: Vec<_> = declared.into_iter().collect();
        let lanes = self.lanes(endpoint).into_iter();
        let lanes = lanes.map(|lanes| (Some(lanes), declared.clone()));
        let without = (None, any.into_iter().collect());
        [without].into_iter().chain(lanes).collect()
    }

    /// Checks that no process delivers the endpoint's events.
    pub(super) fn check_removed(&self, endpoint: &EndpointName) -> Result<(), Refusal> {
        if self.is_configured(endpoint) {
            return Err(Refusal::StillConfigured(endpoint.clone()));
        }
        match self.queues.get(endpoint) {
            Some(queue) if queue.consumers > 0 => {
                Err(Refusal::StillServed(endpoint.clone(), queue.consumers))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the events of `old` can be delivered to the endpoint.
    pub(super) fn check_target(
        &self,
        endpoint: &EndpointName,
        old: &EndpointName,
    ) -> Result<(), Refusal> {
        if endpoint == old {
            return Err(Refusal::Same(old.clone()));
        }
        if !self.is_configured(endpoint) {
            return Err(Refusal::NotConfigured(endpoint.clone()));
        }
        if !self.queues.contains_key(endpoint) {
            return Err(Refusal::NoQueue(endpoint.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EndpointName {
        EndpointName::parse(text).unwrap()
    }

    fn queue(consumers: u32, is_served: Option<bool>) -> EndpointQueue {
        EndpointQueue {
            queued: 1,
            consumers,
            is_served,
            ..EndpointQueue::default()
        }
    }

    #[test]
    fn only_a_removed_endpoint_is_emptied_and_only_a_served_one_filled() {
        let survey = Survey {
            queues: [
                (name("new"), queue(1, None)),
                (name("old"), queue(0, None)),
                (name("elsewhere"), queue(2, None)),
            ]
            .into(),
            configured: Some([name("new"), name("fresh")].into()),
            ..Survey::default()
        };
        let removed = |endpoint| survey.check_removed(&name(endpoint));
        assert_eq!(removed("old"), Ok(()));
        assert_eq!(removed("missing"), Ok(()));
        assert_eq!(removed("new"), Err(Refusal::StillConfigured(name("new"))));
        let served = Refusal::StillServed(name("elsewhere"), 2);
        assert_eq!(removed("elsewhere"), Err(served));
        let target = |endpoint| survey.check_target(&name(endpoint), &name("old"));
        assert_eq!(target("new"), Ok(()));
        assert_eq!(target("old"), Err(Refusal::Same(name("old"))));
        assert_eq!(target("fresh"), Err(Refusal::NoQueue(name("fresh"))));
        let unknown = Refusal::NotConfigured(name("elsewhere"));
        assert_eq!(target("elsewhere"), Err(unknown));
    }

    #[test]
    fn a_data_file_says_which_endpoints_are_configured() {
        let survey = Survey {
            queues: [
                (name("new"), queue(0, Some(true))),
                (name("old"), queue(0, Some(false))),
            ]
            .into(),
            ..Survey::default()
        };
        assert!(survey.is_configured(&name("new")));
        assert!(!survey.is_configured(&name("old")) && !survey.is_configured(&name("other")));
    }

    #[test]
    fn bindings_of_declared_patterns_and_without_lanes_of_every_event_are_removed() {
        let old = name("old");
        let declared: EventPattern = "order.*".parse().unwrap();
        let three = Lanes::Shared(LaneCount::new(3).unwrap());
        let survey = Survey {
            declared: [(old.clone(), BTreeSet::from([declared.clone()]))].into(),
            lanes: [(old.clone(), BTreeSet::from([three]))].into(),
            configured: Some(BTreeSet::new()),
            ..Survey::default()
        };
        let routes = survey.routes(&old);
        let [(None, any), (Some(lanes), of_lanes)] = routes.as_slice() else {
            panic!("{routes:?}");
        };
        assert!(any.contains(&declared) && any.contains(&EventPattern::Every));
        assert_eq!((*lanes, of_lanes), (three, &vec![declared]));
        assert_eq!(survey.queues(&old).len(), 3);
    }
}
