//! Exchanges, queues and bindings as data, and their declaration.
//!
//! Names carry every value that could differ between two settings (the delay of
//! a wait queue is in its name), so two programs never declare the same name
//! with other arguments.

use lapin::types::AMQPValue;
use wahook_domain::{EndpointName, EventName, EventPattern, KnownEvent, WaitStep};

use crate::routing::{binding_key, routing_key};

mod declare;
mod route;

pub use route::QueueRules;

/// Topic exchange of all events; the routing key is made of the event's name.
pub const EVENTS_EXCHANGE: &str = "wahook.events";
/// Direct exchange of known events: it costs the broker a fraction of what a
/// topic exchange does. It has a binding for each of them that an endpoint
/// wants; any other event goes on to [`EVENTS_EXCHANGE`].
const KNOWN_EXCHANGE: &str = "wahook.known";
/// Topic exchange that answers whether an event is wanted at all. It has the
/// bindings of all endpoints, to exchanges without queues; events that match
/// none go on to [`UNWANTED`].
pub const FILTERS_EXCHANGE: &str = "wahook.filters";
/// Exchange, and queue of the same name, for queries about events that no
/// endpoint wants. Consumers bind the queue after all their filters, so without
/// a consumer no event counts as unwanted. The queue keeps nothing.
pub const UNWANTED: &str = "wahook.unwanted";
/// Queue of exhausted and undecodable messages, for redrive.
pub const DEAD_QUEUE: &str = "wahook.dead";
/// Queue of results that the log could not store yet, each with its event's
/// body.
pub const RESULTS_QUEUE: &str = "wahook.results";

/// Deliveries of a work queue's message after which the broker dead-letters it:
/// a message that kills its consumer must not do so indefinitely, and an
/// innocent one must survive many restarts (RabbitMQ 4 would stop at 20).
const DELIVERY_LIMIT: i64 = 100;
/// Unreachable limit for queues that only wahook drains, by requeueing what
/// cannot be handled now: they must never drop anything, and RabbitMQ 3.10 has
/// no way to write "no limit".
const NO_DELIVERY_LIMIT: i64 = 1_000_000_000;
/// Bytes that `wahook.results` may hold before deliveries wait: about half a
/// million results of 2 KiB.
const RESULTS_MAX_BYTES: i64 = 1 << 30;

/// Prefix of the name of every work queue.
const WORK_QUEUE: &str = "wahook.deliver.";

/// Returns the exchange for the first publish of an event.
pub(crate) fn exchange_of(name: &EventName) -> &'static str {
    match name.known() {
        Some(_) => KNOWN_EXCHANGE,
        None => EVENTS_EXCHANGE,
    }
}

/// Returns the work queue of an endpoint.
#[must_use]
pub fn work_queue(endpoint: &EndpointName) -> String {
    format!("{WORK_QUEUE}{endpoint}")
}

/// Returns the endpoint of a work queue; `None` for any other queue.
#[must_use]
pub fn endpoint_of(queue: &str) -> Option<EndpointName> {
    EndpointName::parse(queue.strip_prefix(WORK_QUEUE)?).ok()
}

/// Returns the target of an endpoint's filters: an exchange without a queue, so
/// that the filters remain where the work queue was deleted.
fn filter_exchange(endpoint: &EndpointName) -> String {
    format!("wahook.filter.{endpoint}")
}

/// Returns the exchange, and the queue of the same name, in which messages wait
/// `step`.
#[must_use]
pub fn wait_queue(step: WaitStep) -> String {
    format!("wahook.wait.{}", step.millis())
}

/// Exchanges, queues and bindings, to be declared together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    exchanges: Vec<Exchange>,
    queues: Vec<Queue>,
    bindings: Vec<Binding>,
    /// Earlier bindings, to be removed once those above exist.
    obsolete: Vec<Binding>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Exchange {
    name: String,
    kind: Kind,
    /// Exchange for messages that match no binding.
    alternate: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Topic,
    Direct,
    Fanout,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Queue {
    name: String,
    arguments: Vec<(&'static str, Argument)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument {
    Text(&'static str),
    Number(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Binding {
    exchange: String,
    to: Target,
    key: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
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
        topology
    }

    /// Topology of consumers: a work queue for each endpoint, bound by its
    /// event patterns, a wait queue for each step, dead letters and results.
    #[must_use]
    pub fn deliveries<'a>(
        endpoints: impl IntoIterator<Item = (&'a EndpointName, &'a [EventPattern])>,
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
        for (endpoint, patterns) in endpoints {
            topology.add_work_queue(endpoint, patterns);
        }
        topology.queues.push(Queue {
            name: UNWANTED.to_owned(),
            arguments: vec![("x-message-ttl", Argument::Number(0))],
        });
        topology.bind(UNWANTED, Target::Queue(UNWANTED.to_owned()), String::new());
        topology
    }

    /// Adds those bindings of `previous` that this topology lacks to its
    /// obsolete ones. They are removed only after the new ones exist, so that
    /// no event that both route is lost in between.
    #[must_use]
    pub fn replacing(mut self, previous: &Self) -> Self {
        let before = previous.bindings.iter().chain(&previous.obsolete);
        for binding in before {
            if !self.bindings.contains(binding) && !self.obsolete.contains(binding) {
                self.obsolete.push(binding.clone());
            }
        }
        self
    }

    fn add_exchange(&mut self, name: String, kind: Kind, alternate: Option<&'static str>) {
        self.exchanges.push(Exchange {
            name,
            kind,
            alternate,
        });
    }

    fn bind(&mut self, exchange: &str, to: Target, key: String) {
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

    fn add_work_queue(&mut self, endpoint: &EndpointName, patterns: &[EventPattern]) {
        let name = work_queue(endpoint);
        let mut arguments = dead_letters_to(Some(DEAD_QUEUE));
        arguments.push(("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)));
        let filter = filter_exchange(endpoint);
        self.add_exchange(filter.clone(), Kind::Fanout, None);
        for pattern in patterns {
            let key = binding_key(pattern);
            let wanted = Target::Exchange(filter.clone());
            self.bind(FILTERS_EXCHANGE, wanted, key.clone());
            self.bind(EVENTS_EXCHANGE, Target::Queue(name.clone()), key);
        }
        let known = KnownEvent::ALL.map(EventName::from).into_iter();
        for event in known.filter(|event| patterns.iter().any(|pattern| pattern.takes(event))) {
            let queue = Target::Queue(name.clone());
            self.bind(KNOWN_EXCHANGE, queue, routing_key(&event));
        }
        self.queues.push(Queue { name, arguments });
    }
}

/// Returns the arguments for dead-lettering with publisher confirms, which the
/// broker offers only with `reject-publish`. Without `queue` a message keeps
/// its routing key, which names its work queue.
fn dead_letters_to(queue: Option<&'static str>) -> Vec<(&'static str, Argument)> {
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

impl Argument {
    fn value(self) -> AMQPValue {
        match self {
            Self::Text(text) => AMQPValue::LongString(text.into()),
            Self::Number(number) => AMQPValue::LongLongInt(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::RetryRule;

    fn deliveries() -> Topology {
        let endpoint = EndpointName::default();
        let steps = RetryRule::new(3, 5_000).unwrap().wait_steps();
        Topology::deliveries([(&endpoint, [EventPattern::Every].as_slice())], &steps)
    }

    fn of(patterns: &[&str]) -> Topology {
        let patterns: Vec<_> = patterns.iter().map(|text| text.parse().unwrap()).collect();
        let endpoint = EndpointName::default();
        Topology::deliveries([(&endpoint, patterns.as_slice())], &[])
    }

    fn keys(bindings: &[Binding]) -> Vec<(&str, &str)> {
        let events = bindings.iter().filter(|b| !b.key.is_empty());
        events
            .map(|b| (b.exchange.as_str(), b.key.as_str()))
            .collect()
    }

    #[test]
    fn a_filter_is_bound_before_its_queue_and_the_unwanted_queue_after_all_filters() {
        let topology = of(&["ready", "message_*"]);
        let expected = [
            ("wahook.filters", "ready"),
            ("wahook.events", "ready"),
            ("wahook.filters", "message._.#"),
            ("wahook.events", "message._.#"),
            ("wahook.known", "message._.create"),
            ("wahook.known", "message._.ack"),
            ("wahook.known", "message._.revoke._.everyone"),
            ("wahook.known", "message._.reaction"),
            ("wahook.known", "ready"),
        ];
        assert_eq!(keys(&topology.bindings), expected);
        let last = topology.bindings.last().unwrap();
        assert_eq!(last.to, Target::Queue(UNWANTED.to_owned()));
    }

    #[test]
    fn a_replacement_removes_other_bindings_and_keeps_the_queues() {
        let before = of(&["ready", "message_*"]);
        let after = of(&["ready", "call"]).replacing(&before);
        let gone = [
            ("wahook.filters", "message._.#"),
            ("wahook.events", "message._.#"),
            ("wahook.known", "message._.create"),
            ("wahook.known", "message._.ack"),
            ("wahook.known", "message._.revoke._.everyone"),
            ("wahook.known", "message._.reaction"),
        ];
        assert_eq!(keys(&after.obsolete), gone);
        assert_eq!(after.queues, before.queues);
        // Earlier obsolete bindings stay obsolete; those of "ready" are new.
        let again = of(&["call"]).replacing(&after);
        assert_eq!(keys(&again.obsolete).len(), gone.len() + 3);
        let back = of(&["message_*"]).replacing(&again);
        let gone = keys(&back.obsolete);
        assert!(
            gone.iter().all(|(_, key)| *key != "message._.#"),
            "{gone:?}"
        );
    }

    #[test]
    fn every_delay_has_one_wait_queue_that_republishes_with_confirms() {
        let topology = deliveries();
        for delay in [5_000, 10_000, 20_000] {
            let name = format!("wahook.wait.{delay}");
            let queue = topology.queues.iter().find(|q| q.name == name).unwrap();
            for wanted in [
                ("x-message-ttl", Argument::Number(delay)),
                ("x-dead-letter-exchange", Argument::Text("")),
                ("x-dead-letter-strategy", Argument::Text("at-least-once")),
                ("x-overflow", Argument::Text("reject-publish")),
            ] {
                assert!(queue.arguments.contains(&wanted), "{name}: {wanted:?}");
            }
            assert!(
                topology
                    .exchanges
                    .iter()
                    .any(|e| e.name == name && e.kind == Kind::Fanout)
            );
            let to = Target::Queue(name.clone());
            assert_eq!(topology.bindings.iter().filter(|b| b.to == to).count(), 1);
        }
    }

    #[test]
    fn a_work_queue_dead_letters_messages_that_kill_consumers() {
        let topology = deliveries();
        let queue = topology
            .queues
            .iter()
            .find(|q| q.name == "wahook.deliver.default")
            .unwrap();
        assert!(
            queue
                .arguments
                .contains(&("x-dead-letter-routing-key", Argument::Text(DEAD_QUEUE)))
        );
        assert!(
            queue
                .arguments
                .contains(&("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)))
        );
    }

    #[test]
    fn the_producer_declares_no_queue() {
        let topology = Topology::events();
        assert!(topology.queues.is_empty() && topology.bindings.is_empty());
    }
}
