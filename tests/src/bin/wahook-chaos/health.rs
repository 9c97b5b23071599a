//! Is everything as healthy as before?

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::sleep;
use wahook_tests::process;

use crate::stage::Stage;

/// Asks the broker for everything at once: each call of `rabbitmqctl` starts an Erlang.
const QUESTION: &str = r#"io:format("~p ~p~n",
    [length(rabbit_networking:connections()), length(rabbit_channel:list())]),
  [begin
     {resource, _, queue, Name} = amqqueue:get_name(Queue),
     [{_, Ready}, {_, Unacknowledged}] =
       rabbit_amqqueue:info(Queue, [messages_ready, messages_unacknowledged]),
     io:format("~s ~p ~p~n", [Name, Ready, Unacknowledged])
   end || Queue <- rabbit_amqqueue:list()],
  ok."#;
/// Longer than the broker takes for it.
const RETURNED_WITHIN: Duration = Duration::from_secs(10);
/// A program may keep so much more than before.
const RSS_GROWTH: f64 = 1.2;

/// What the broker says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) connections: u32,
    pub(crate) channels: u32,
    /// Ready and unacknowledged messages by queue.
    pub(crate) queues: BTreeMap<String, (u64, u64)>,
}

/// The whole system at rest.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    broker: Broker,
    /// Resident memory, in KiB.
    producer: u64,
    consumer: u64,
}

pub(crate) async fn broker(stage: &Stage) -> anyhow::Result<Broker> {
    parse(&stage.servers.rabbitmq.ctl(&["eval", QUESTION]).await?)
}

impl Broker {
    fn unacknowledged(&self) -> u64 {
        self.queues
            .values()
            .map(|(_, unacknowledged)| unacknowledged)
            .sum()
    }

    /// Only dead letters rest.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut others = self
            .queues
            .iter()
            .filter(|(name, _)| *name != "wahook.dead");
        others.all(|(_, depths)| *depths == (0, 0))
    }
}

impl Health {
    /// Messages that a closed channel held take a moment to be ready again, so what is
    /// stuck is what is still there after a while.
    pub(crate) async fn at_rest(stage: &Stage) -> anyhow::Result<Self> {
        let end = Instant::now() + RETURNED_WITHIN;
        let mut broker = broker(stage).await?;
        while broker.unacknowledged() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(200)).await;
            broker = self::broker(stage).await?;
        }
        Ok(Self {
            broker,
            producer: process::memory(stage.producer()?.pid())?.0,
            consumer: process::memory(stage.consumer()?.pid())?.0,
        })
    }

    /// What is worse now than it was; empty when nothing is. The next time the producer is
    /// compared with what it is now: it remembers what it has published, so it grows with
    /// every row, up to its bound.
    pub(crate) fn update(&mut self, now: &Self) -> Vec<String> {
        let worse = now.worse_than(self);
        self.producer = self.producer.max(now.producer);
        worse
    }

    fn worse_than(&self, before: &Self) -> Vec<String> {
        let mut worse = Vec::new();
        let (now, then) = (&self.broker, &before.broker);
        for (what, now, then) in [
            ("connections", now.connections, then.connections),
            ("channels", now.channels, then.channels),
        ] {
            if now != then {
                worse.push(format!("{now} {what} instead of {then}"));
            }
        }
        for (name, (ready, unacknowledged)) in &now.queues {
            let is_stuck = *unacknowledged > 0 || (*ready > 0 && name != "wahook.dead");
            if is_stuck {
                worse.push(format!(
                    "{name}: {ready} ready, {unacknowledged} unacknowledged"
                ));
            }
        }
        for (name, now, then) in [
            ("producer", self.producer, before.producer),
            ("consumer", self.consumer, before.consumer),
        ] {
            if now as f64 > then as f64 * RSS_GROWTH {
                let (now, then) = (now / 1024, then / 1024);
                worse.push(format!("{name} keeps {now} MiB instead of {then}"));
            }
        }
        worse
    }
}

fn parse(answer: &str) -> anyhow::Result<Broker> {
    let mut lines = answer.lines();
    let broken = || format!("not understood: {answer}");
    let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
    let mut words = lines.next().unwrap_or_default().split(' ').map(Some);
    let mut next = || number(words.next().flatten()).with_context(broken);
    let (connections, channels) = (next()?, next()?);
    let mut queues = BTreeMap::new();
    for line in lines.take_while(|line| *line != "ok") {
        let mut words = line.split(' ');
        let name = words.next().with_context(broken)?;
        let ready = number(words.next()).with_context(broken)?;
        let unacknowledged = number(words.next()).with_context(broken)?;
        queues.insert(name.to_owned(), (ready, unacknowledged));
    }
    Ok(Broker {
        connections: connections.try_into()?,
        channels: channels.try_into()?,
        queues,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_answer_is_read() {
        let broker = parse("3 5\nwahook.dead 7 0\nwahook.results 0 1\nok\n").unwrap();
        assert_eq!((broker.connections, broker.channels), (3, 5));
        assert_eq!(broker.queues["wahook.dead"], (7, 0));
        assert!(!broker.is_quiet());
        assert!(parse("3 5\nwahook.dead 7 0\nok\n").unwrap().is_quiet());
    }

    #[test]
    fn an_answer_of_another_kind_is_an_error() {
        assert!(parse("Error: nodedown").is_err());
        assert!(parse("3 5\nwahook.dead\nok").is_err());
    }
}
