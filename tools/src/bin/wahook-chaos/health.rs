//! Compares the health of the system with its health before a row.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::sleep;
use wahook_tests::process;

use crate::stage::Stage;

/// Erlang expression that queries all figures of the broker at once, because each call of
/// `rabbitmqctl` starts an Erlang VM. Only the leader of a queue knows its messages. An exclusive
/// queue, such as the lock of the registry of endpoints, can end between the list and its figures.
const QUESTION: &str = r#"io:format("~p ~p~n",
    [length(rabbit_networking:connections()), length(rabbit_channel:list())]),
  [begin
     {resource, _, queue, Name} = amqqueue:get_name(Queue),
     Leader = case amqqueue:get_pid(Queue) of {_, Node} -> Node; Pid -> node(Pid) end,
     case rpc:call(
       Leader, rabbit_amqqueue, info, [Queue, [messages_ready, messages_unacknowledged]]) of
       [{_, Ready}, {_, Unacknowledged}] ->
         io:format("~s ~p ~p~n", [Name, Ready, Unacknowledged]);
       {badrpc, {'EXIT', {Reason, {gen_server2, call, _}}}}
         when Reason =:= normal; Reason =:= noproc -> ended
     end
   end || Queue <- rabbit_amqqueue:list(<<"/">>)],
  ok."#;
/// Time limit for the system to settle after a row: the broker requeues the messages of closed
/// channels, allocators return memory, and a consumer ends the connection on which it counts.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);
/// Permitted growth of a program's resident memory: a fifth, or this many KiB. The allocator
/// keeps the buffers of a burst, such as those of 128 connections to a webhook.
const RSS_GROWTH_KIB: u64 = 8 * 1024;

/// Figures of the broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) connections: u32,
    pub(crate) channels: u32,
    /// Ready and unacknowledged messages by queue.
    pub(crate) queues: BTreeMap<String, (u64, u64)>,
}

/// Figures of the idle system.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    broker: Broker,
    /// Resident memory, in KiB.
    producer: u64,
    consumer: u64,
}

pub(crate) async fn broker(stage: &Stage) -> anyhow::Result<Broker> {
    parse(&stage.brokers.node()?.ctl(&["eval", QUESTION]).await?)
}

/// Returns true if messages of this queue stay: dead letters, and names of endpoints.
fn is_kept(queue: &str) -> bool {
    ["wahook.dead", "wahook.endpoints"].contains(&queue)
}

impl Broker {
    fn unacknowledged(&self) -> u64 {
        self.queues
            .values()
            .map(|(_, unacknowledged)| unacknowledged)
            .sum()
    }

    /// Returns true if all queues are empty whose messages do not stay.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut others = self.queues.iter().filter(|(name, _)| !is_kept(name));
        others.all(|(_, depths)| *depths == (0, 0))
    }
}

impl Health {
    /// Measures the idle system until no figure is worse than before, or a time limit is over. The
    /// first figures of all are those that two measurements in a row have in common.
    pub(crate) async fn at_rest(stage: &Stage, before: Option<&Self>) -> anyhow::Result<Self> {
        let end = Instant::now() + SETTLED_WITHIN;
        let mut last = Self::measured(stage).await?;
        loop {
            if before.is_some_and(|before| last.worse_than(before).is_empty()) {
                return Ok(last);
            }
            sleep(PAUSE).await;
            let now = Self::measured(stage).await?;
            let is_same = now.broker == last.broker && now.broker.unacknowledged() == 0;
            if (before.is_none() && is_same) || Instant::now() > end {
                return Ok(now);
            }
            last = now;
        }
    }

    async fn measured(stage: &Stage) -> anyhow::Result<Self> {
        Ok(Self {
            broker: broker(stage).await?,
            producer: process::memory(stage.producer()?.pid())?.0,
            consumer: process::memory(stage.consumer()?.pid())?.0,
        })
    }

    /// Returns the figures that are worse than before. The memory of the producer becomes the new
    /// baseline: it keeps the ids of published events, so it grows with every row up to its bound.
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
            let is_stuck = *unacknowledged > 0 || (*ready > 0 && !is_kept(name));
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
            if now > then + (then / 5).max(RSS_GROWTH_KIB) {
                let (now, then) = (now / 1024, then / 1024);
                worse.push(format!("{name} uses {now} MiB instead of {then}"));
            }
        }
        worse
    }
}

fn parse(answer: &str) -> anyhow::Result<Broker> {
    let mut lines = answer.lines();
    let broken = || format!("unexpected answer of rabbitmqctl: {answer}");
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
    fn answer_of_the_broker_is_parsed() {
        let broker = parse("3 5\nwahook.dead 7 0\nwahook.results 0 1\nok\n").unwrap();
        assert_eq!((broker.connections, broker.channels), (3, 5));
        assert_eq!(broker.queues["wahook.dead"], (7, 0));
        assert!(!broker.is_quiet());
        let quiet = "3 5\nwahook.dead 7 0\nwahook.endpoints 1 0\nok\n";
        assert!(parse(quiet).unwrap().is_quiet());
    }

    #[test]
    fn unexpected_answer_is_an_error() {
        assert!(parse("Error: nodedown").is_err());
        assert!(parse("3 5\nwahook.dead\nok").is_err());
    }
}
