//! Which exchanges and queues exist, as data, and their declaration.
//!
//! Names carry every value that could differ between two settings (the delay
//! of a wait queue is in its name), so two programs never declare the same
//! name with other arguments.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use wahook_domain::{EndpointName, WaitStep};

/// The topic exchange that the producer publishes to, once per event; the
/// routing key is the event's name.
pub const EVENTS_EXCHANGE: &str = "wahook.events";
/// Where exhausted and undecodable messages rest, for redrive.
pub const DEAD_QUEUE: &str = "wahook.dead";
/// Results that the log could not take yet, each with its event's body.
pub const RESULTS_QUEUE: &str = "wahook.results";

/// The binding pattern that takes every event.
pub const EVERY_EVENT: &str = "#";

/// How often the broker may hand out a message of a work queue before it parks
/// it in the dead letters: a message that kills its consumer must not do so
/// for ever, and an innocent one must survive many restarts (RabbitMQ 4 would
/// stop at 20).
const DELIVERY_LIMIT: i64 = 100;
/// Queues that only we drain, by requeueing what can't be handled now, must
/// never drop anything; RabbitMQ 3.10 has no way to write "no limit".
const NO_DELIVERY_LIMIT: i64 = 1_000_000_000;
/// Bytes that `wahook.results` may hold before deliveries wait: about half a
/// million results of 2 KiB.
const RESULTS_MAX_BYTES: i64 = 1 << 30;

/// What the name of every work queue begins with.
const WORK_QUEUE: &str = "wahook.deliver.";

/// The work queue of an endpoint.
#[must_use]
pub fn work_queue(endpoint: &EndpointName) -> String {
    format!("{WORK_QUEUE}{endpoint}")
}

/// The endpoint of a work queue.
pub(crate) fn endpoint_of(queue: &str) -> Option<EndpointName> {
    EndpointName::parse(queue.strip_prefix(WORK_QUEUE)?).ok()
}

/// The exchange, and the queue of the same name, where messages wait `step`.
#[must_use]
pub fn wait_queue(step: WaitStep) -> String {
    format!("wahook.wait.{}", step.millis())
}

/// Exchanges, queues and bindings, to be declared together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    exchanges: Vec<(String, Kind)>,
    queues: Vec<Queue>,
    bindings: Vec<Binding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Topic,
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
    queue: String,
    exchange: String,
    pattern: String,
}

impl Topology {
    /// What a producer needs: the exchange alone. The queues are the
    /// consumers' business, who know the endpoints.
    #[must_use]
    pub fn events() -> Self {
        Self {
            exchanges: vec![(EVENTS_EXCHANGE.to_owned(), Kind::Topic)],
            ..Self::default()
        }
    }

    /// What consumers need: a work queue for each endpoint, bound by its event
    /// patterns, a wait queue for each step, dead letters and results.
    #[must_use]
    pub fn deliveries<'a>(
        endpoints: impl IntoIterator<Item = (&'a EndpointName, &'a [String])>,
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
        topology
    }

    fn add_wait_queue(&mut self, step: WaitStep) {
        let name = wait_queue(step);
        let mut arguments = dead_letters_to(None);
        arguments.push(("x-message-ttl", Argument::Number(step.millis().into())));
        self.exchanges.push((name.clone(), Kind::Fanout));
        self.bindings.push(Binding {
            queue: name.clone(),
            exchange: name.clone(),
            pattern: String::new(),
        });
        self.queues.push(Queue { name, arguments });
    }

    fn add_work_queue(&mut self, endpoint: &EndpointName, patterns: &[String]) {
        let name = work_queue(endpoint);
        let mut arguments = dead_letters_to(Some(DEAD_QUEUE));
        arguments.push(("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)));
        for pattern in patterns {
            self.bindings.push(Binding {
                queue: name.clone(),
                exchange: EVENTS_EXCHANGE.to_owned(),
                pattern: pattern.clone(),
            });
        }
        self.queues.push(Queue { name, arguments });
    }

    /// Declares everything; repeating it changes nothing.
    pub(crate) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        for (name, kind) in &self.exchanges {
            let kind = match kind {
                Kind::Topic => ExchangeKind::Topic,
                Kind::Fanout => ExchangeKind::Fanout,
            };
            let options = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            channel
                .exchange_declare(name.as_str().into(), kind, options, FieldTable::default())
                .await?;
        }
        for queue in &self.queues {
            let options = QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            };
            channel
                .queue_declare(queue.name.as_str().into(), options, queue.table())
                .await?;
        }
        for binding in &self.bindings {
            channel
                .queue_bind(
                    binding.queue.as_str().into(),
                    binding.exchange.as_str().into(),
                    binding.pattern.as_str().into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
        Ok(())
    }
}

/// Dead lettering that republishes with confirms. The broker offers it only
/// with `reject-publish`. Without a queue of its own the message keeps its
/// routing key, which names the work queue it came from.
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

impl Queue {
    fn table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        table.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        for (name, value) in &self.arguments {
            let value = match value {
                Argument::Text(text) => AMQPValue::LongString((*text).into()),
                Argument::Number(number) => AMQPValue::LongLongInt(*number),
            };
            table.insert((*name).into(), value);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::RetryRule;

    fn deliveries() -> Topology {
        let endpoint = EndpointName::default();
        let steps = RetryRule::new(3, 5_000).unwrap().wait_steps();
        Topology::deliveries([(&endpoint, [EVERY_EVENT.to_owned()].as_slice())], &steps)
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
            assert!(topology.exchanges.contains(&(name.clone(), Kind::Fanout)));
            assert_eq!(
                topology.bindings.iter().filter(|b| b.queue == name).count(),
                1
            );
        }
    }

    #[test]
    fn the_work_queue_parks_what_kills_its_consumers() {
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
