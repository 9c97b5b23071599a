//! Declaration of a topology at the broker.

use lapin::{
    Channel, ExchangeKind,
    options::{
        ExchangeBindOptions, ExchangeDeclareOptions, ExchangeUnbindOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};

use crate::topology::{Argument, Binding, Exchange, Kind, Queue, Target, Topology};

/// Value of `nowait` without an answer of the broker, for many steps at once.
const NO_ANSWER: bool = true;
/// Value of `nowait` with an answer.
const ANSWER: bool = false;

impl Topology {
    /// Returns the number of declarations without the routing by key.
    pub(crate) fn count(&self) -> usize {
        self.exchanges.len() + self.queues.len() + self.bindings.len() + self.obsolete.len()
    }

    /// Declares everything except the routing by key; repeating it changes nothing.
    pub(crate) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        for exchange in &self.exchanges {
            exchange.declare(channel).await?;
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
        // The broker creates them in their order. A failure closes the channel, which
        // fails the last one.
        if let Some((last, others)) = self.bindings.split_last() {
            for binding in others {
                binding.create(channel, NO_ANSWER).await?;
            }
            last.create(channel, ANSWER).await?;
        }
        for binding in &self.obsolete {
            binding.remove(channel).await?;
        }
        Ok(())
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
