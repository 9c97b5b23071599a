//! Routing of messages by a topology, as in RabbitMQ, for a store that replaces
//! it.

use super::model::{Argument, Binding, Kind, Queue, Target, Topology};

/// Rules of a queue for expiry and dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueRules {
    /// Milliseconds after which a message moves to the queue that its routing
    /// key names.
    pub wait_ms: Option<i64>,
    /// Requeues of a message above which it is dead-lettered.
    pub delivery_limit: Option<i64>,
    pub dead_letters: Option<&'static str>,
}

impl Topology {
    /// Adds another topology and removes its obsolete bindings.
    pub fn absorb(&mut self, other: &Self) {
        for exchange in &other.exchanges {
            if !self.exchanges.iter().any(|e| e.name == exchange.name) {
                self.exchanges.push(exchange.clone());
            }
        }
        for queue in &other.queues {
            if self.queue(&queue.name).is_none() {
                self.queues.push(queue.clone());
            }
        }
        for binding in &other.bindings {
            if !self.bindings.contains(binding) {
                self.bindings.push(binding.clone());
            }
        }
        self.bindings
            .retain(|binding| !other.obsolete.contains(binding));
    }

    /// Returns the queues that a message enters, each once; none if it is
    /// unroutable.
    #[must_use]
    pub fn route(&self, exchange: &str, key: &str) -> Vec<&str> {
        let mut queues = Vec::new();
        if exchange.is_empty() {
            queues.extend(self.queue(key).map(|queue| queue.name.as_str()));
        } else {
            self.collect_queues(exchange, key, &mut queues);
        }
        queues
    }

    /// Adds the queues that a message reaches; returns true if a binding
    /// matches, also one to an exchange without a queue. (No exchange here is
    /// bound in a circle.)
    fn collect_queues<'a>(&'a self, exchange: &str, key: &str, queues: &mut Vec<&'a str>) -> bool {
        let Some(exchange) = self.exchanges.iter().find(|e| e.name == exchange) else {
            return false;
        };
        let mut matched = false;
        for binding in self.bindings.iter().filter(|b| b.exchange == exchange.name) {
            let matches = match exchange.kind {
                Kind::Topic => binding.matches(key),
                Kind::Direct => binding.key == key,
                Kind::Fanout => true,
            };
            if !matches {
                continue;
            }
            matched = true;
            match &binding.to {
                Target::Queue(name) if queues.contains(&name.as_str()) => {}
                Target::Queue(name) => queues.push(name),
                Target::Exchange(next) => {
                    self.collect_queues(next, key, queues);
                }
            }
        }
        match exchange.alternate {
            Some(alternate) if !matched => self.collect_queues(alternate, key, queues),
            _ => matched,
        }
    }

    /// Returns the rules of a queue; `None` if it does not exist.
    #[must_use]
    pub fn rules(&self, queue: &str) -> Option<QueueRules> {
        let queue = self.queue(queue)?;
        let number = |name| match queue.argument(name) {
            Some(Argument::Number(number)) => Some(number),
            _ => None,
        };
        Some(QueueRules {
            wait_ms: number("x-message-ttl"),
            delivery_limit: number("x-delivery-limit"),
            dead_letters: match queue.argument("x-dead-letter-routing-key") {
                Some(Argument::Text(name)) => Some(name),
                _ => None,
            },
        })
    }

    /// Returns the names of all queues.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().map(|queue| queue.name.as_str())
    }

    fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.name == name)
    }
}

impl Queue {
    fn argument(&self, name: &str) -> Option<Argument> {
        let found = self.arguments.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }
}

impl Binding {
    /// Matches a topic binding as AMQP does, for the keys used here: exact
    /// ones, `*` at the start, and `#` at the end.
    fn matches(&self, key: &str) -> bool {
        let (bound, key) = match self.key.strip_prefix("*.") {
            None => (self.key.as_str(), key),
            Some(bound) => (bound, key.split_once('.').map_or("", |(_, rest)| rest)),
        };
        match bound.strip_suffix('#') {
            None => bound == key,
            Some("") => true,
            // `a.#` matches `a` as well.
            Some(start) => key.starts_with(start) || start.strip_suffix('.') == Some(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{names::UNWANTED, routing::routing_key};
    use proptest::prelude::*;
    use wahook_domain::{EndpointName, EventName, EventPattern, RetryRule};

    fn of(endpoints: &[(&str, &[&str])]) -> Topology {
        let endpoints: Vec<(EndpointName, Vec<EventPattern>)> = endpoints
            .iter()
            .map(|(name, patterns)| {
                let patterns = patterns.iter().map(|text| text.parse().unwrap());
                (EndpointName::parse(name).unwrap(), patterns.collect())
            })
            .collect();
        let steps = RetryRule::new(1, 5_000).unwrap().wait_steps();
        let endpoints = endpoints
            .iter()
            .map(|(name, patterns)| (name, patterns.as_slice(), None));
        Topology::deliveries(endpoints, &steps)
    }

    fn key(name: &str) -> String {
        routing_key(&EventName::parse(name).unwrap())
    }

    #[test]
    fn an_event_is_routed_once_to_each_endpoint_that_wants_it() {
        let topology = of(&[("all", &["*"]), ("some", &["message_*", "message_ack"])]);
        let both = ["wahook.deliver.all", "wahook.deliver.some"];
        for exchange in ["wahook.events", "wahook.known"] {
            let into = |name| topology.route(exchange, &key(name));
            assert_eq!(into("message_ack"), both);
            assert_eq!(into("message_poll"), both);
            assert_eq!(into("call"), ["wahook.deliver.all"]);
        }
    }

    #[test]
    fn an_unwanted_event_is_distinguished_from_a_missing_queue() {
        let topology = of(&[("some", &["message_*"])]);
        assert!(topology.route("wahook.events", &key("call")).is_empty());
        assert!(topology.route("wahook.known", &key("call")).is_empty());
        assert_eq!(topology.route("wahook.filters", &key("call")), [UNWANTED]);
        let wanted = key("message_ack");
        assert!(topology.route("wahook.filters", &wanted).is_empty());
        // Before a consumer has declared its filters, no event counts as
        // unwanted.
        let early = Topology::events();
        assert!(early.route("wahook.filters", &key("call")).is_empty());
    }

    #[test]
    fn a_retry_waits_and_a_missing_queue_receives_nothing() {
        let topology = of(&[("default", &["*"])]);
        let waits = topology.route("wahook.wait.5000", "wahook.deliver.default");
        assert_eq!(waits, ["wahook.wait.5000"]);
        let rules = topology.rules("wahook.wait.5000").unwrap();
        assert_eq!(rules.wait_ms, Some(5_000));
        let rules = topology.rules("wahook.deliver.default").unwrap();
        assert_eq!(rules.delivery_limit, Some(100));
        assert_eq!(rules.dead_letters, Some("wahook.dead"));
        assert_eq!(topology.route("", "wahook.dead"), ["wahook.dead"]);
        assert!(topology.route("", "wahook.deliver.other").is_empty());
    }

    #[test]
    fn a_replacement_removes_the_other_bindings() {
        let before = of(&[("default", &["ready", "call"])]);
        let mut known = Topology::events();
        known.absorb(&before);
        known.absorb(&of(&[("default", &["call"])]).replacing(&before));
        for exchange in ["wahook.events", "wahook.known"] {
            assert!(known.route(exchange, &key("ready")).is_empty());
            assert_eq!(known.route(exchange, &key("call")).len(), 1);
        }
        assert_eq!(known.route("wahook.filters", &key("ready")), [UNWANTED]);
    }

    proptest! {
        #[test]
        fn an_endpoint_receives_exactly_the_events_of_its_pattern(
            name in "a[ab_.:-]{0,6}",
            start in "a[ab_.:-]{0,4}",
            star in any::<bool>(),
        ) {
            let text = if star { format!("{start}*") } else { start };
            let Ok(pattern) = text.parse::<EventPattern>() else { return Ok(()) };
            let topology = of(&[("default", &[text.as_str()])]);
            let got = !topology.route("wahook.events", &key(&name)).is_empty();
            let wanted = pattern.takes(&EventName::parse(&name).unwrap());
            prop_assert_eq!(got, wanted, "{} {}", pattern, name);
        }
    }
}
