//! Servers and programs of the scenario, and the faults injected into them.

use std::fs;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::time::sleep;
use wahook_tests::amqp_wire::{AmqpWire, Properties, WireMessage};
use wahook_tests::eventually::eventually;
use wahook_tests::folder::RunFolder;
use wahook_tests::mongod::Mongod;
use wahook_tests::pair::{Pair, Servers};
use wahook_tests::program::Program;
use wahook_tests::rabbitmq::{BrokerOptions, RabbitMq};

use crate::chapters::{ALARM, BACKLOG, DOWN, FROZEN, HANGS, KILLED, RESTART, SOON, expected};
use crate::gateway::{CALM, Gateway};
use crate::observers;
use crate::programs::{address, console, consumer_of, consumers};
use crate::prometheus::Prometheus;
use crate::promtool;
use crate::watch::Watch;
use crate::webhook::{Count, Webhook};

const SETTINGS: [(&str, &str); 3] = [
    ("WEBHOOK_RETRY_DELAY", "1000"),
    ("WEBHOOK_CONCURRENCY", "16"),
    // Some events always fail. The last remaining ones all fail and would open the circuit.
    ("WEBHOOK_CIRCUIT", "off"),
];
/// Settings that are an error together with an endpoints file.
const SINGLE_ENDPOINT: [&str; 4] = [
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
    "WEBHOOK_RETRY_DELAY",
    "WEBHOOK_CONCURRENCY",
];
const WORK_QUEUE: &str = "wahook.deliver.default";

/// Servers and programs of the scenario.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) observers: Vec<Arc<Prometheus>>,
    pub(crate) console: Program,
    webhook: Arc<Webhook>,
    pub(crate) gateway: Gateway,
    pair: Pair,
    servers: Servers,
    folder: RunFolder,
}

impl Stage {
    pub(crate) async fn set(deploy: &Path) -> anyhow::Result<Self> {
        let (rabbitmq, mongod) = tokio::join!(
            RabbitMq::start_with(BrokerOptions::with_metrics()),
            Mongod::start()
        );
        let servers = Servers { rabbitmq, mongod };
        let webhook = Arc::new(Webhook::default());
        let pair = servers.pair(webhook.receiver().await, &SETTINGS).await;
        pair.add_consumer().await;
        let console = console(&pair).await;
        let broker = [format!("127.0.0.1:{}", servers.rabbitmq.metrics_port())];
        let producer = pair.producer.base_url();
        let (producers, listed) = ([address(&producer)], consumers(&pair));
        let targets = [
            ("rabbitmq", broker.as_slice()),
            ("rabbitmq-detailed", broker.as_slice()),
            ("wahook-producer", producers.as_slice()),
            ("wahook-consumer", listed.as_slice()),
        ];
        let observers = observers::start(deploy, &targets).await?;
        promtool::check_metrics(producer.clone()).await?;
        promtool::check_metrics(consumer_of(&pair)).await?;
        println!("promtool accepts the metrics of producer and consumer");
        let gateway = Gateway::start(format!("{producer}/v1/events"))?;
        Ok(Self {
            observers,
            console,
            webhook,
            gateway,
            pair,
            servers,
            folder: RunFolder::temporary("deploy-proof")?,
        })
    }

    /// Waits until the webhook's count shows every accepted event as delivered or dead.
    pub(crate) async fn settle(&self) -> Count {
        eventually(SOON, "all events are delivered or dead", || async {
            let count = self.webhook.count();
            let ended = count.delivered + count.dead;
            (ended > 0.0 && (ended - whole(self.gateway.accepted())).abs() < 0.5).then_some(count)
        })
        .await
    }

    pub(crate) async fn poison(&self) -> anyhow::Result<()> {
        let mut wire = AmqpWire::connect(&self.pair.place().amqp_url).await?;
        let message = WireMessage {
            properties: Properties::default(),
            body: b"no envelope".to_vec(),
        };
        wire.publish("", WORK_QUEUE.as_bytes(), &message).await
    }

    pub(crate) async fn freeze_the_log(&self, watch: &Watch) -> anyhow::Result<()> {
        watch.chapter(FROZEN);
        self.servers.mongod.freeze();
        let fired = watch.fired(&expected(FROZEN), SOON * 2).await;
        self.servers.mongod.thaw();
        fired?;
        watch.ended(&expected(FROZEN), SOON).await
    }

    pub(crate) async fn hang(&self, watch: &Watch) -> anyhow::Result<()> {
        watch.chapter(HANGS);
        self.webhook.hang(Duration::from_secs(24));
        self.gateway.pace(20, CALM);
        watch.fired(&expected(HANGS), SOON).await?;
        self.gateway.pace(40, CALM);
        watch.ended(&expected(HANGS), SOON).await
    }

    /// Starts consumers with a circuit breaker, so that events wait and none is dead-lettered.
    pub(crate) async fn take_the_webhook_down(&self, watch: &Watch) -> anyhow::Result<()> {
        watch.chapter(DOWN);
        let before: Vec<Program> = self.consumers().drain(..).collect();
        let file = self.endpoints_file()?;
        let mut pausing = vec![
            ("WEBHOOK_CIRCUIT", "on"),
            ("WEBHOOK_ENDPOINTS", file.as_str()),
        ];
        pausing.extend(SINGLE_ENDPOINT.map(|name| (name, "")));
        for _ in &before {
            self.pair.add_consumer_with(&pausing).await;
        }
        self.list_consumers(&consumers(&self.pair))?;
        for consumer in before {
            consumer.terminate();
            consumer.wait_exit(SOON).await;
        }
        self.webhook.go_down(true);
        self.gateway.pace(40, CALM);
        let fired = watch.fired(&expected(DOWN), SOON).await;
        self.webhook.go_down(false);
        fired?;
        watch.ended(&expected(DOWN), SOON).await
    }

    /// Makes all consumers read their endpoints file again.
    pub(crate) fn reload(&self) {
        self.consumers().iter().for_each(Program::hang_up);
    }

    /// Writes the endpoints file with the endpoint of [`SETTINGS`], and returns its path.
    fn endpoints_file(&self) -> anyhow::Result<String> {
        let path = self.folder.join("endpoints.toml");
        let url = self.pair.receiver.url();
        let endpoint = format!("[[endpoint]]\nname = \"default\"\nurl = \"{url}\"\n");
        fs::write(&path, endpoint + "retry_delay = 1000\nconcurrency = 16\n")?;
        Ok(path.display().to_string())
    }

    fn list_consumers(&self, addresses: &[String]) -> anyhow::Result<()> {
        let mut observers = self.observers.iter();
        observers.try_for_each(|of| of.set_targets("wahook-consumer", addresses))
    }

    fn consumers(&self) -> MutexGuard<'_, Vec<Program>> {
        let consumers = self.pair.consumers.lock();
        consumers.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn raise_an_alarm(&self, watch: &Watch) -> anyhow::Result<()> {
        watch.chapter(ALARM);
        let watermark = async |share| {
            let arguments = ["set_vm_memory_high_watermark", share];
            self.servers.rabbitmq.ctl(&arguments).await
        };
        watermark("0").await?;
        watch.fired(&expected(ALARM), SOON).await?;
        watermark("0.4").await?;
        watch.ended(&expected(ALARM), SOON).await
    }

    pub(crate) async fn kill_consumers(&self, watch: &Watch) -> anyhow::Result<()> {
        watch.chapter(KILLED);
        self.webhook.slow_down(Duration::from_millis(300));
        self.gateway.pace(40, CALM);
        let listed = consumers(&self.pair);
        sleep(Duration::from_secs(3)).await;
        self.pair.take_consumer().kill9().await;
        // Wait until the broker has redelivered its unacked messages to the other consumer, and
        // Prometheus has scraped that.
        sleep(Duration::from_secs(8)).await;
        self.pair.take_consumer().kill9().await;
        // One target is removed, as for a stopped container; the other stays and is down.
        let first = listed.get(..1).context("no consumer")?;
        self.list_consumers(first)?;
        self.gateway.pace(50, CALM);
        watch.fired(&expected(KILLED), SOON).await?;
        sleep(Duration::from_secs(66)).await;

        watch.chapter(BACKLOG);
        self.gateway.pace(0, CALM);
        self.webhook.slow_down(Duration::from_secs(2));
        self.pair.add_consumer().await;
        self.pair.add_consumer().await;
        self.list_consumers(&consumers(&self.pair))?;
        watch.fired(&expected(BACKLOG), SOON).await?;
        self.webhook.slow_down(Duration::ZERO);
        self.gateway.pace(40, CALM);
        watch.ended(&expected(BACKLOG), SOON).await?;
        watch.ended(&expected(KILLED), SOON).await
    }

    pub(crate) async fn restart_the_broker(&self, watch: &Watch) -> anyhow::Result<()> {
        watch.chapter(RESTART);
        self.servers.rabbitmq.try_kill9().await?;
        watch.fired(&expected(RESTART), SOON).await?;
        self.servers.rabbitmq.try_restart().await?;
        watch.ended(&expected(RESTART), SOON).await
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a scenario has a few thousand events"
)]
pub(crate) fn whole(count: u64) -> f64 {
    count as f64
}
