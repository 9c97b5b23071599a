//! Test environment of all rows: one broker, one log, one webhook, and the programs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use mongodb::Collection;
use mongodb::bson::Document;
use wahook_tests::mongod::Mongod;
use wahook_tests::or_fail;
use wahook_tests::pair::{self, SECRET};
use wahook_tests::ports::free_port;
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::brokers::{Brokers, Nodes};
use crate::event;
use crate::ordered::Ordered;
use crate::script::Script;

/// Wait before the first kill of the broker. A quorum queue declared only seconds before a kill
/// may be empty after the restart, because the node writes its table of queues with a delay. This
/// is a property of the broker.
const BROKER_SETTLES: Duration = Duration::from_secs(12);
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Time limit for the stop of a program.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
const DATABASE: &str = "wahook-chaos";

/// Retries after the first attempt, for every consumer with the default settings.
pub(crate) const RETRIES: u32 = 3;
/// Settings for rows with many waiting events: one retry, after 8 s.
pub(crate) const LONG_WAIT: [Setting; 2] = [
    ("WEBHOOK_RETRY_ATTEMPTS", "1"),
    ("WEBHOOK_RETRY_DELAY", "8000"),
];

pub(crate) type Setting<'a> = (&'a str, &'a str);

pub(crate) struct Stage {
    pub(crate) brokers: Brokers,
    pub(crate) mongod: Mongod,
    pub(crate) receiver: Receiver,
    scripts: Arc<Mutex<Vec<(Instant, Script)>>>,
    producer_listen: String,
    producer: Option<Program>,
    consumers: Vec<Consumer>,
    log: Collection<Document>,
    settled_at: Instant,
    /// Load of an ordered endpoint, on a cluster only.
    pub(crate) ordered: Option<Ordered>,
}

/// Consumer and the settings that replaced its defaults.
struct Consumer {
    program: Program,
    settings: Vec<(String, String)>,
}

impl Stage {
    /// Starts all servers and programs and declares every queue that a row needs.
    pub(crate) async fn set(nodes: Nodes) -> anyhow::Result<Self> {
        let (brokers, mongod) = tokio::join!(Brokers::start(nodes), Mongod::start());
        let brokers = brokers?;
        let scripts = Arc::new(Mutex::new(vec![(Instant::now(), Script::Mixed)]));
        let receiver = {
            let scripts = Arc::clone(&scripts);
            Receiver::answering(move |post| answer(post, current(&scripts))).await
        };
        let client = mongod.client().await;
        let mut stage = Self {
            brokers,
            mongod,
            receiver,
            scripts,
            producer_listen: format!("127.0.0.1:{}", free_port()?),
            producer: None,
            consumers: Vec::new(),
            log: client.database(DATABASE).collection("webhooklogs"),
            settled_at: Instant::now(),
            ordered: None,
        };
        stage.add_consumer(&LONG_WAIT).await;
        stage.stop_consumers().await;
        stage.settled_at = Instant::now() + BROKER_SETTLES;
        stage.restore().await?;
        if nodes == Nodes::Three {
            stage.ordered = Some(Ordered::start(&stage.brokers, &stage.mongod).await?);
        }
        Ok(stage)
    }

    /// Returns the versions of the servers for a report.
    pub(crate) async fn versions(&self) -> anyhow::Result<String> {
        pair::versions(self.brokers.node()?, &self.mongod).await
    }

    /// Waits until the queues can survive a kill of the broker.
    pub(crate) async fn broker_settled(&self) {
        tokio::time::sleep_until(self.settled_at.into()).await;
    }

    /// Sets the behaviour of the webhook from now on.
    pub(crate) fn set_script(&self, script: Script) {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.push((Instant::now(), script));
    }

    /// Returns the behaviour of the webhook at `time`.
    pub(crate) fn script_at(&self, time: Instant) -> Script {
        let scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = scripts.iter().rev().find(|(since, _)| *since <= time);
        before.map_or(Script::Mixed, |(_, script)| *script)
    }

    pub(crate) fn log(&self) -> &Collection<Document> {
        &self.log
    }

    /// Returns the delivery log on other servers.
    pub(crate) async fn log_on(&self, uri: &str) -> anyhow::Result<Collection<Document>> {
        let client = mongodb::Client::with_uri_str(uri).await?;
        Ok(client.database(DATABASE).collection("webhooklogs"))
    }

    pub(crate) fn producer_url(&self) -> String {
        format!("http://{}", self.producer_listen)
    }

    pub(crate) fn producer(&self) -> anyhow::Result<&Program> {
        self.producer
            .as_ref()
            .ok_or_else(|| anyhow::anyhow!("no producer runs"))
    }

    pub(crate) fn consumer(&self) -> anyhow::Result<&Program> {
        let consumer = self.consumers.first().map(|consumer| &consumer.program);
        consumer.ok_or_else(|| anyhow::anyhow!("no consumer runs"))
    }

    /// Starts a producer in place of one that has exited.
    pub(crate) async fn start_producer(&mut self) {
        self.producer = None;
        let amqp_url = self.brokers.amqp_url();
        let settings = producer_settings(&amqp_url, &self.producer_listen, &[]);
        self.producer = Some(Program::producer(&settings).await);
    }

    /// Replaces the running producer by one that may exit before it listens.
    pub(crate) async fn launch_producer(&mut self, settings: &[Setting<'_>]) -> Program {
        self.producer = None;
        let amqp_url = self.brokers.amqp_url();
        let settings = producer_settings(&amqp_url, &self.producer_listen, settings);
        Program::launch(ProgramName::Producer, &settings).await
    }

    /// Starts another producer on its own port.
    pub(crate) async fn second_producer(&self) -> Program {
        Program::producer(&[("AMQP_URL", &self.brokers.amqp_url())]).await
    }

    /// Starts an additional consumer; `settings` replace the defaults.
    pub(crate) async fn add_consumer(&mut self, settings: &[Setting<'_>]) {
        let own = |(name, value): &Setting<'_>| ((*name).to_owned(), (*value).to_owned());
        let all = self.consumer_settings(settings);
        self.consumers.push(Consumer {
            program: Program::consumer(&borrowed(&all)).await,
            settings: settings.iter().map(own).collect(),
        });
    }

    /// Starts a consumer that may exit before it listens.
    pub(crate) async fn launch_consumer(&self, settings: &[Setting<'_>]) -> Program {
        let all = self.consumer_settings(settings);
        Program::launch(ProgramName::Consumer, &borrowed(&all)).await
    }

    fn consumer_settings(&self, others: &[Setting<'_>]) -> Vec<(String, String)> {
        let usual = [
            ("AMQP_URL", self.brokers.amqp_url()),
            ("MONGODB_URI", self.mongod.uri()),
            ("MONGODB_DATABASE", DATABASE.to_owned()),
            ("WEBHOOK_URL", self.receiver.url()),
            ("WEBHOOK_SECRET", SECRET.to_owned()),
            ("WEBHOOK_RETRY_ATTEMPTS", RETRIES.to_string()),
            ("WEBHOOK_RETRY_DELAY", "300".to_owned()),
            ("WEBHOOK_CONCURRENCY", "32".to_owned()),
            // Rows in which every attempt fails need plain retries.
            ("WEBHOOK_CIRCUIT", "off".to_owned()),
        ];
        let others = others
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let all = usual.into_iter().chain(others);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Replaces all running consumers by one with these settings.
    pub(crate) async fn only_consumer(&mut self, settings: &[Setting<'_>]) {
        self.stop_consumers().await;
        self.add_consumer(settings).await;
    }

    /// Stops all consumers with SIGTERM and waits for their exit.
    pub(crate) async fn stop_consumers(&mut self) {
        while let Some(consumer) = self.consumers.pop() {
            stop(&consumer.program).await;
        }
    }

    /// Removes and returns the consumer that was started last.
    pub(crate) fn take_consumer(&mut self) -> anyhow::Result<Program> {
        let last = self.consumers.pop().map(|consumer| consumer.program);
        last.ok_or_else(|| anyhow::anyhow!("no consumer runs"))
    }

    /// Restores one producer and one consumer with default settings. Keeps those that already run.
    pub(crate) async fn restore(&mut self) -> anyhow::Result<()> {
        let is_usual = |c: &Consumer| c.program.is_running() && c.settings.is_empty();
        let first = self.consumers.iter().position(is_usual);
        let kept = first.map(|index| self.consumers.swap_remove(index));
        for other in self.consumers.drain(..).collect::<Vec<_>>() {
            if other.program.is_running() {
                stop(&other.program).await;
            }
        }
        match kept {
            Some(kept) => self.consumers.push(kept),
            None => self.add_consumer(&[]).await,
        }
        if !self.producer.as_ref().is_some_and(Program::is_running) {
            self.start_producer().await;
        }
        self.consumer()?.wait_ready(READY_WITHIN).await;
        self.producer()?.wait_ready(READY_WITHIN).await;
        Ok(())
    }

    /// Runs `wahook-consumer` with these arguments and waits for its exit.
    pub(crate) async fn command(&self, arguments: &[&str]) -> anyhow::Result<Ran> {
        self.command_on(None, arguments).await
    }

    /// Runs `wahook-consumer` like [`Self::command`], with the log on another server.
    pub(crate) async fn command_on(
        &self,
        mongodb_uri: Option<String>,
        arguments: &[&str],
    ) -> anyhow::Result<Ran> {
        let mongodb_uri = mongodb_uri.unwrap_or_else(|| self.mongod.uri());
        let command = self.start_command_on(&mongodb_uri, arguments).await;
        let ran = command.finish().await;
        ensure!(
            ran.status.success(),
            "wahook-consumer {}: {}{}",
            arguments.join(" "),
            ran.stdout,
            ran.stderr
        );
        Ok(ran)
    }

    pub(crate) async fn start_command(&self, arguments: &[&str]) -> Command {
        let mongodb_uri = self.mongod.uri();
        self.start_command_on(&mongodb_uri, arguments).await
    }

    async fn start_command_on(&self, mongodb_uri: &str, arguments: &[&str]) -> Command {
        let amqp_url = self.brokers.amqp_url();
        let settings = [
            ("AMQP_URL", amqp_url.as_str()),
            ("MONGODB_URI", mongodb_uri),
            ("MONGODB_DATABASE", DATABASE),
        ];
        Command::start(ProgramName::Consumer, arguments, &settings).await
    }
}

/// Stops a program with SIGTERM and expects exit status 0.
pub(crate) async fn stop(program: &Program) {
    program.terminate();
    let status = program.wait_exit(STOPPED_WITHIN).await;
    let succeeded = if status.success() {
        Ok(())
    } else {
        Err(anyhow::anyhow!("{status}\n{}", program.stderr_so_far()))
    };
    or_fail("the stop of a program", succeeded);
}

fn producer_settings<'a>(
    amqp_url: &'a str,
    listen: &'a str,
    others: &[Setting<'a>],
) -> Vec<Setting<'a>> {
    let mut all = vec![("AMQP_URL", amqp_url), ("PRODUCER_LISTEN", listen)];
    all.extend(others);
    all
}

fn borrowed(settings: &[(String, String)]) -> Vec<Setting<'_>> {
    let pairs = settings.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

fn current(scripts: &Mutex<Vec<(Instant, Script)>>) -> Script {
    let scripts = scripts.lock().unwrap_or_else(PoisonError::into_inner);
    scripts.last().map_or(Script::Mixed, |(_, script)| *script)
}

fn answer(post: &Post, script: Script) -> Answer {
    let number = post.id().and_then(event::parse).map(|(_, number)| number);
    script.answer(
        number.unwrap_or_default(),
        post.attempt().unwrap_or_default(),
    )
}
