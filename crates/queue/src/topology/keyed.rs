//! Routing of events by key, for endpoints with several lanes.
//!
//! A producer publishes to one exchange, with the bucket of the event's key before the
//! routing key. So it needs no knowledge of endpoints and lanes, and the broker
//! routes each event once.
//!
//! | exchange | kind | bindings |
//! |---|---|---|
//! | `wahook.keyed` | direct | `BB.<key>` of known events: for all buckets to the event's exchange, for the buckets of a lane to the lane |
//! | `wahook.event.<event>` | fanout | queues of endpoints without lanes, and single lanes |
//! | `wahook.keyed.events` | topic, alternate of the first | `*.<pattern>` to queues without lanes, `BB.<pattern>` to lanes |

use wahook_domain::{EndpointName, EventName, EventPattern, LaneCount, Lanes, order::BUCKETS};

use super::{
    endpoint::known_events,
    model::{Argument, Kind, Queue, Target, Topology},
    names::{
        KEYED_EVENTS_EXCHANGE, KEYED_EXCHANGE, LANES, event_exchange, lane_queue, queue_of_bucket,
        work_queue,
    },
    routing::{binding_key, routing_key},
};

/// Returns the routing key of an event by its bucket.
pub(crate) fn keyed(bucket: u8, key: &str) -> String {
    format!("{bucket:02}.{key}")
}

/// Queues of one endpoint that its events enter.
enum Entrance {
    /// One queue, for all keys.
    Queue(String),
    /// Each lane, for its keys.
    Lanes(Lanes),
}

impl Topology {
    /// Returns the routing by key of all endpoints.
    pub(super) fn by_key<'a>(
        endpoints: impl IntoIterator<Item = (&'a EndpointName, &'a [EventPattern], Option<Lanes>)>,
    ) -> Self {
        let mut topology = Self::default();
        topology.add_exchange(KEYED_EVENTS_EXCHANGE.to_owned(), Kind::Topic, None);
        let rest = Some(KEYED_EVENTS_EXCHANGE);
        topology.add_exchange(KEYED_EXCHANGE.to_owned(), Kind::Direct, rest);
        for (endpoint, patterns, lanes) in endpoints {
            topology.bind_keyed(endpoint, patterns, lanes);
        }
        topology.queues.push(Queue {
            name: LANES.to_owned(),
            arguments: vec![("x-message-ttl", Argument::Number(0))],
        });
        topology.bind(LANES, Target::Queue(LANES.to_owned()), String::new());
        topology
    }

    /// Adds the bindings of an endpoint for events with a key.
    fn bind_keyed(
        &mut self,
        endpoint: &EndpointName,
        patterns: &[EventPattern],
        lanes: Option<Lanes>,
    ) {
        let one_queue = Entrance::Queue(work_queue(endpoint));
        let entrance = match lanes {
            None | Some(Lanes::Shared(LaneCount::ONE)) => {
                self.bind_entrance(endpoint, patterns, &one_queue);
                return;
            }
            Some(Lanes::Ordered(LaneCount::ONE)) => {
                Entrance::Queue(lane_queue(endpoint, LaneCount::ONE, 0))
            }
            Some(lanes) => Entrance::Lanes(lanes),
        };
        self.bind_entrance(endpoint, patterns, &entrance);
        // The endpoint may have had no lanes before. Other endpoints need the exchanges.
        let mut before = Self::default();
        before.bind_entrance(endpoint, patterns, &one_queue);
        let of_queue = before.bindings.into_iter();
        let of_queue = of_queue.filter(|binding| matches!(binding.to, Target::Queue(_)));
        self.obsolete.extend(of_queue);
    }

    fn bind_entrance(
        &mut self,
        endpoint: &EndpointName,
        patterns: &[EventPattern],
        entrance: &Entrance,
    ) {
        for pattern in patterns {
            self.bind_pattern(endpoint, &binding_key(pattern), entrance);
        }
        for event in known_events(patterns) {
            self.bind_event(endpoint, &event, entrance);
        }
    }

    fn bind_pattern(&mut self, endpoint: &EndpointName, key: &str, entrance: &Entrance) {
        match entrance {
            Entrance::Queue(queue) => {
                let queue = Target::Queue(queue.clone());
                self.bind(KEYED_EVENTS_EXCHANGE, queue, format!("*.{key}"));
            }
            Entrance::Lanes(lanes) => {
                for bucket in 0..BUCKETS {
                    let lane = queue_of_bucket(endpoint, *lanes, bucket);
                    let key = keyed(bucket, key);
                    self.bind(KEYED_EVENTS_EXCHANGE, Target::Queue(lane), key);
                }
            }
        }
    }

    fn bind_event(&mut self, endpoint: &EndpointName, event: &EventName, entrance: &Entrance) {
        let key = routing_key(event);
        match entrance {
            Entrance::Queue(queue) => {
                let exchange = event_exchange(event);
                self.add_event_exchange(&exchange, &key);
                self.bind(&exchange, Target::Queue(queue.clone()), String::new());
            }
            Entrance::Lanes(lanes) => {
                for bucket in 0..BUCKETS {
                    let lane = queue_of_bucket(endpoint, *lanes, bucket);
                    self.bind(KEYED_EXCHANGE, Target::Queue(lane), keyed(bucket, &key));
                }
            }
        }
    }

    /// Adds the exchange of one event, once, with its bindings for all buckets.
    fn add_event_exchange(&mut self, name: &str, key: &str) {
        if self.exchanges.iter().any(|known| known.name == name) {
            return;
        }
        self.add_exchange(name.to_owned(), Kind::Fanout, None);
        for bucket in 0..BUCKETS {
            let event = Target::Exchange(name.to_owned());
            self.bind(KEYED_EXCHANGE, event, keyed(bucket, key));
        }
    }
}

#[cfg(test)]
mod tests;
