//! Declaration of a topology at the broker.

use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::{
    Channel, ExchangeKind,
    options::{
        ExchangeBindOptions, ExchangeDeclareOptions, ExchangeUnbindOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use tokio::time::Instant;

use super::{
    deadline::with_deadline,
    error::{ConnectError, is_other_topology},
};
use crate::topology::{Argument, Binding, Exchange, Kind, Queue, Target, Topology};

/// Value of `nowait` without an answer of the broker, for many steps at once.
const NO_ANSWER: bool = true;
/// Value of `nowait` with an answer.
const ANSWER: bool = false;

/// Bindings that are written together, with one deadline. The broker makes one after another,
/// and a busy one takes up to half a second for each.
const TOGETHER: usize = 16;

/// Interval between reports of a declaration that takes long.
const REPORT_EVERY: Duration = Duration::from_secs(5);

impl Topology {
    /// Declares everything except the routing by key; repeating it changes nothing. Each step
    /// has a deadline; all together have none, because a hundred endpoints, or the keys of one,
    /// have a thousand bindings.
    pub(crate) async fn declare(&self, channel: &Channel) -> Result<(), ConnectError> {
        let mut progress = Progress::of(self.count());
        for exchange in &self.exchanges {
            step(exchange.declare(channel)).await?;
            progress.add(1);
        }
        for queue in &self.queues {
            let options = QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            };
            step(channel.queue_declare(queue.name.as_str().into(), options, queue.table())).await?;
            progress.add(1);
        }
        let create = |some| create_all(some, channel);
        each_together(&self.bindings, &mut progress, create).await?;
        let remove = |some| remove_all(some, channel);
        each_together(&self.obsolete, &mut progress, remove).await
    }

    /// Returns the number of declarations without the routing by key.
    fn count(&self) -> usize {
        self.exchanges.len() + self.queues.len() + self.bindings.len() + self.obsolete.len()
    }
}

/// Runs a step of a declaration under a deadline.
async fn step<T>(step: impl Future<Output = lapin::Result<T>>) -> Result<T, ConnectError> {
    with_deadline(step).await?.map_err(|error| {
        if is_other_topology(&error) {
            ConnectError::OtherTopology(error.into())
        } else {
            error.into()
        }
    })
}

/// Runs a step for some bindings after others, so that slow progress is no failure.
async fn each_together<'a, F>(
    bindings: &'a [Binding],
    progress: &mut Progress,
    run: impl Fn(&'a [Binding]) -> F,
) -> Result<(), ConnectError>
where
    F: Future<Output = lapin::Result<()>>,
{
    for some in bindings.chunks(TOGETHER) {
        step(run(some)).await?;
        progress.add(some.len());
    }
    Ok(())
}

/// Creates bindings in their order, and waits for the last one. A failure closes the channel,
/// which fails the last one.
async fn create_all(bindings: &[Binding], channel: &Channel) -> lapin::Result<()> {
    if let Some((last, others)) = bindings.split_last() {
        for binding in others {
            binding.create(channel, NO_ANSWER).await?;
        }
        last.create(channel, ANSWER).await?;
    }
    Ok(())
}

/// Removes bindings in their order. AMQP has an answer to each removal from a queue.
async fn remove_all(bindings: &[Binding], channel: &Channel) -> lapin::Result<()> {
    let removals = bindings.iter().map(|binding| binding.remove(channel));
    try_join_all(removals).await?;
    Ok(())
}

/// Number of declarations that the broker has answered, logged if all take long.
struct Progress {
    declared: usize,
    of: usize,
    reported: Instant,
}

impl Progress {
    fn of(of: usize) -> Self {
        Self {
            declared: 0,
            of,
            reported: Instant::now(),
        }
    }

    fn add(&mut self, declared: usize) {
        self.declared += declared;
        if self.reported.elapsed() >= REPORT_EVERY && self.declared < self.of {
            self.reported = Instant::now();
            let (declared, of) = (self.declared, self.of);
            tracing::info!(declared, of, "declaring queues and bindings takes long");
        }
    }
}

impl Exchange {
    async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        let kind = match self.kind {
            Kind::Topic => ExchangeKind::Topic,
            Kind::Direct => ExchangeKind::Direct,
            Kind::Fanout => ExchangeKind::Fanout,
        };
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        if let Some(alternate) = self.alternate {
            let alternate = AMQPValue::LongString(alternate.into());
            arguments.insert("alternate-exchange".into(), alternate);
        }
        channel
            .exchange_declare(self.name.as_str().into(), kind, options, arguments)
            .await
    }
}

impl Binding {
    async fn create(&self, channel: &Channel, nowait: bool) -> lapin::Result<()> {
        let (source, key) = (self.exchange.as_str().into(), self.key.as_str().into());
        let arguments = FieldTable::default();
        match &self.to {
            Target::Queue(queue) => {
                let options = QueueBindOptions { nowait };
                let queue = queue.as_str().into();
                channel
                    .queue_bind(queue, source, key, options, arguments)
                    .await
            }
            Target::Exchange(exchange) => {
                let options = ExchangeBindOptions { nowait };
                let exchange = exchange.as_str().into();
                channel
                    .exchange_bind(exchange, source, key, options, arguments)
                    .await
            }
        }
    }

    /// Removes a binding; a missing one is no error.
    async fn remove(&self, channel: &Channel) -> lapin::Result<()> {
        let (source, key) = (self.exchange.as_str().into(), self.key.as_str().into());
        let arguments = FieldTable::default();
        match &self.to {
            Target::Queue(queue) => {
                let queue = queue.as_str().into();
                channel.queue_unbind(queue, source, key, arguments).await
            }
            Target::Exchange(exchange) => {
                let options = ExchangeUnbindOptions::default();
                let exchange = exchange.as_str().into();
                channel
                    .exchange_unbind(exchange, source, key, options, arguments)
                    .await
            }
        }
    }
}

impl Queue {
    fn table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        table.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        for (name, value) in &self.arguments {
            table.insert((*name).into(), value.value());
        }
        table
    }
}

impl Argument {
    fn value(self) -> AMQPValue {
        match self {
            Self::Text(text) => AMQPValue::LongString(text.into()),
            Self::Number(number) => AMQPValue::LongLongInt(number),
            Self::Flag(flag) => AMQPValue::Boolean(flag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use tokio::time::sleep;

    fn bindings(count: usize) -> Vec<Binding> {
        let binding = |number| Binding {
            exchange: "wahook.keyed".to_owned(),
            to: Target::Queue("wahook.lane.2.0.crm".to_owned()),
            key: format!("{number}"),
        };
        (0..count).map(binding).collect()
    }

    /// Runs a step of so many seconds for all of them.
    async fn run(bindings: &[Binding], seconds: u64) -> (Result<(), ConnectError>, Vec<Binding>) {
        let done = RefCell::new(Vec::new());
        let record = &done;
        let mut progress = Progress::of(bindings.len());
        let ended = each_together(bindings, &mut progress, |some| async move {
            sleep(Duration::from_secs(seconds)).await;
            record.borrow_mut().extend_from_slice(some);
            Ok(())
        });
        let ended = ended.await;
        (ended, done.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn slow_declaration_of_many_bindings_makes_each_once_in_its_order() {
        let all = bindings(900);
        let start = Instant::now();
        let (ended, done) = run(&all, 9).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(done, all);
        assert!(start.elapsed() > Duration::from_secs(500));
    }

    #[tokio::test(start_paused = true)]
    async fn broker_that_does_not_answer_ends_a_declaration() {
        let start = Instant::now();
        let (ended, done) = run(&bindings(900), 11).await;
        assert!(matches!(ended, Err(ConnectError::TimedOut(_))), "{ended:?}");
        assert!(done.is_empty());
        assert!(start.elapsed() < Duration::from_secs(11));
    }
}
