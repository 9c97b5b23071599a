//! Queues and bindings of one endpoint.

use wahook_domain::{EndpointName, EventName, EventPattern, KnownEvent, Lanes};

use super::{
    model::{Argument, Kind, NO_DELIVERY_LIMIT, Queue, Target, Topology, dead_letters_to},
    names::{
        DEAD_QUEUE, EVENTS_EXCHANGE, FILTERS_EXCHANGE, KNOWN_EXCHANGE, filter_exchange,
        further_queues, lane_queue, ordered_queues, work_queue,
    },
    routing::{binding_key, routing_key},
};

/// Deliveries of a work queue's message after which the broker dead-letters it:
/// a message that kills its consumer must not do so indefinitely, and an
/// innocent one must survive many restarts (RabbitMQ 4 would stop at 20).
pub(super) const DELIVERY_LIMIT: i64 = 100;

/// Limit of delivered messages of a lane that are not settled. A constant of the
/// format: a successor with a smaller one would break the order of the messages that
/// return to it.
pub const LANE_PREFETCH: u16 = 256;

impl Topology {
    /// Adds the queues of an endpoint, and the bindings for its patterns. An
    /// endpoint with ordered lanes keeps its work queue, without bindings, for events that
    /// were queued before, and for redriven ones.
    pub(super) fn add_endpoint(
        &mut self,
        endpoint: &EndpointName,
        patterns: &[EventPattern],
        lanes: Option<Lanes>,
    ) {
        let name = work_queue(endpoint);
        self.queues.push(shared(name.clone()));
        let filter = filter_exchange(endpoint);
        self.add_exchange(filter.clone(), Kind::Fanout, None);
        for pattern in patterns {
            let wanted = Target::Exchange(filter.clone());
            self.bind(FILTERS_EXCHANGE, wanted, binding_key(pattern));
        }
        let lanes = match lanes {
            Some(Lanes::Ordered(lanes)) => lanes,
            Some(Lanes::Shared(lanes)) => {
                self.queues
                    .extend(further_queues(endpoint, lanes).map(shared));
                // Producers that do not publish by key reach the work queue.
                self.bind_plain(&name, patterns);
                return;
            }
            None => {
                self.bind_plain(&name, patterns);
                return;
            }
        };
        for name in ordered_queues(endpoint, lanes) {
            self.queues.push(lane(name));
        }
        // Producers that do not publish by key reach the first lane.
        self.bind_plain(&lane_queue(endpoint, lanes, 0), patterns);
        // The endpoint may have had no lanes before.
        let mut before = Self::default();
        before.bind_plain(&name, patterns);
        self.obsolete.append(&mut before.bindings);
    }

    /// Binds a queue to the exchanges for events without a key.
    fn bind_plain(&mut self, queue: &str, patterns: &[EventPattern]) {
        for pattern in patterns {
            let queue = Target::Queue(queue.to_owned());
            self.bind(EVENTS_EXCHANGE, queue, binding_key(pattern));
        }
        for event in known_events(patterns) {
            let queue = Target::Queue(queue.to_owned());
            self.bind(KNOWN_EXCHANGE, queue, routing_key(&event));
        }
    }
}

/// Returns the known events that one of the patterns takes.
pub(super) fn known_events(patterns: &[EventPattern]) -> impl Iterator<Item = EventName> + '_ {
    let known = KnownEvent::ALL.map(EventName::from).into_iter();
    known.filter(|event| patterns.iter().any(|pattern| pattern.takes(event)))
}

/// Returns a work queue, or a further queue of shared lanes.
fn shared(name: String) -> Queue {
    let mut arguments = dead_letters_to(Some(DEAD_QUEUE));
    arguments.push(("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)));
    Queue { name, arguments }
}

/// Returns the queue of an ordered lane or of a parking slot. Each takeover counts as a delivery of all unacked
/// messages, so the limit is unreachable: the owner decides when an event was tried
/// too often.
fn lane(name: String) -> Queue {
    let mut arguments = dead_letters_to(Some(DEAD_QUEUE));
    arguments.push(("x-delivery-limit", Argument::Number(NO_DELIVERY_LIMIT)));
    arguments.push(("x-single-active-consumer", Argument::Flag(true)));
    Queue { name, arguments }
}
