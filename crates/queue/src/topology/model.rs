//! Exchanges, queues and bindings as data.

use wahook_domain::{EndpointName, EventPattern, LaneCount, Lanes, WaitStep};

use super::names::{
    DEAD_QUEUE, ENDPOINTS_QUEUE, EVENTS_EXCHANGE, FILTERS_EXCHANGE, KNOWN_EXCHANGE, LANES,
    RESULTS_QUEUE, SPOOL_QUEUE, SPOOL_REJECTED, UNWANTED, wait_queue,
};

/// Unreachable limit for queues that only wahook drains, by requeueing what
/// cannot be handled now: they must never drop anything, and RabbitMQ 3.10 has
/// no way to write "no limit".
pub(super) const NO_DELIVERY_LIMIT: i64 = 1_000_000_000;
/// Bytes that `wahook.results` may hold before deliveries wait: about half a
/// million results of 2 KiB.
const RESULTS_MAX_BYTES: i64 = 1 << 30;

/// Exchanges, queues and bindings, to be declared together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) bindings: Vec<Binding>,
    /// Earlier bindings, to be removed once those above exist.
    pub(crate) obsolete: Vec<Binding>,
    /// Routing by key of the same endpoints; `None` without endpoints.
    pub(crate) keyed: Option<Box<Keyed>>,
}

/// Routing by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keyed {
    pub(crate) topology: Topology,
    /// True if an endpoint has several lanes. Otherwise the routing is declared only
    /// where producers publish by key already.
    pub(crate) is_needed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Exchange for messages that match no binding.
    pub(crate) alternate: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Topic,
    Direct,
    Fanout,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) arguments: Vec<(&'static str, Argument)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    Text(&'static str),
    Number(i64),
    Flag(bool),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Binding {
    pub(crate) exchange: String,
    pub(crate) to: Target,
    pub(crate) key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Queue(String),
    Exchange(String),
}

impl Topology {
    /// Topology of a producer: exchanges alone. The queues are declared by the
    /// consumers, which have the endpoints' settings.
    #[must_use]
    pub fn events() -> Self {
        let mut topology = Self::default();
        topology.add_exchange(EVENTS_EXCHANGE.to_owned(), Kind::Topic, None);
        let rest = Some(EVENTS_EXCHANGE);
        topology.add_exchange(KNOWN_EXCHANGE.to_owned(), Kind::Direct, rest);
        topology.add_exchange(UNWANTED.to_owned(), Kind::Fanout, None);
        topology.add_exchange(FILTERS_EXCHANGE.to_owned(), Kind::Topic, Some(UNWANTED));
        topology.add_exchange(LANES.to_owned(), Kind::Fanout, None);
        topology
    }

    /// Topology of consumers: for each endpoint a work queue or lanes, bound by its
    /// event patterns, a wait queue for each step, dead letters and results.
    #[must_use]
    pub fn deliveries<'a>(
        endpoints: impl IntoIterator<Item = (&'a EndpointName, &'a [EventPattern], Option<Lanes>)>,
        wait_steps: &[WaitStep],
    ) -> Self {
        let mut topology = Self::events();
        topology.queues.push(Queue {
            name: DEAD_QUEUE.to_owned(),
            arguments: vec![("x-delivery-limit", Argument::Number(NO_DELIVERY_LIMIT))],
        });
        let mut arguments = dead_letters_to(Some(DEAD_QUEUE));
        arguments.push(("x-delivery-limit", Argument::Number(NO_DELIVERY_LIMIT)));
        arguments.push(("x-max-length-bytes", Argument::Number(RESULTS_MAX_BYTES)));
        topology.queues.push(Queue {
            name: RESULTS_QUEUE.to_owned(),
            arguments,
        });
        for step in wait_steps {
            topology.add_wait_queue(*step);
        }
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        for (endpoint, patterns, lanes) in &endpoints {
            topology.add_endpoint(endpoint, patterns, *lanes);
        }
        topology.keyed = Some(Box::new(Keyed {
            is_needed: endpoints
                .iter()
                .any(|(_, _, lanes)| lanes.is_some_and(|lanes| lanes.count() > LaneCount::ONE)),
            topology: Self::by_key(endpoints),
        }));
        topology.queues.push(Queue {
            name: UNWANTED.to_owned(),
            arguments: vec![("x-message-ttl", Argument::Number(0))],
        });
        topology.bind(UNWANTED, Target::Queue(UNWANTED.to_owned()), String::new());
        topology
    }

    /// Topology of the queue of endpoint declarations.
    #[must_use]
    pub fn declarations() -> Self {
        let mut topology = Self::default();
        topology.queues.push(Queue {
            name: ENDPOINTS_QUEUE.to_owned(),
            arguments: vec![("x-delivery-limit", Argument::Number(NO_DELIVERY_LIMIT))],
        });
        topology
    }

    /// Topology of a producer's spool, for a store within the process. Without a
    /// delivery limit, because its messages are taken until they are forwarded.
    #[must_use]
    pub fn spool() -> Self {
        let mut topology = Self::default();
        topology.queues.push(Queue {
            name: SPOOL_QUEUE.to_owned(),
            arguments: dead_letters_to(Some(SPOOL_REJECTED)),
        });
        topology.queues.push(Queue {
            name: SPOOL_REJECTED.to_owned(),
            arguments: Vec::new(),
        });
        topology
    }

    /// Returns true if the topology has the exchange for queries about lanes.
    pub(crate) fn announces_lanes(&self) -> bool {
        self.exchanges.iter().any(|exchange| exchange.name == LANES)
    }

    pub(super) fn add_exchange(
        &mut self,
        name: String,
        kind: Kind,
        alternate: Option<&'static str>,
    ) {
        self.exchanges.push(Exchange {
            name,
            kind,
            alternate,
        });
    }

    pub(super) fn bind(&mut self, exchange: &str, to: Target, key: String) {
        let exchange = exchange.to_owned();
        self.bindings.push(Binding { exchange, to, key });
    }

    fn add_wait_queue(&mut self, step: WaitStep) {
        let name = wait_queue(step);
        let mut arguments = dead_letters_to(None);
        arguments.push(("x-message-ttl", Argument::Number(step.millis().into())));
        self.add_exchange(name.clone(), Kind::Fanout, None);
        self.bind(&name, Target::Queue(name.clone()), String::new());
        self.queues.push(Queue { name, arguments });
    }
}

/// Returns the arguments for dead-lettering with publisher confirms, which the
/// broker offers only with `reject-publish`. Without `queue` a message keeps
/// its routing key, which names its work queue.
pub(super) fn dead_letters_to(queue: Option<&'static str>) -> Vec<(&'static str, Argument)> {
    let mut arguments = vec![
        ("x-dead-letter-exchange", Argument::Text("")),
        ("x-dead-letter-strategy", Argument::Text("at-least-once")),
        ("x-overflow", Argument::Text("reject-publish")),
    ];
    if let Some(queue) = queue {
        arguments.push(("x-dead-letter-routing-key", Argument::Text(queue)));
    }
    arguments
}

#[cfg(test)]
mod tests;
