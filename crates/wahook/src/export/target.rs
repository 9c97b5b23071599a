//! The broker and the database that are exported to.

use anyhow::{Context, bail};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use wahook_consumer::{ConsumerSettings, EndpointSettings, topology};
use wahook_delivery_log::MongoLog;
use wahook_domain::{EndpointName, WaitStep};
use wahook_queue::{
    Broker, BrokerUri, ConsumerConnection, Inspector, Outgoing, PublishError, Publisher,
    PublisherTask, Topology,
    topology::{DEAD_QUEUE, RESULTS_QUEUE, endpoint_of, work_queue},
};

/// As the broker lists its connections.
const NAME: &str = "wahook export";
/// How long one publish may wait for its confirm before it is repeated.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
/// How long a broker or database that was reached once may be away.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// The settings that name them.
pub(super) const AT_BROKER: &str = "AMQP_URL (--to)";
pub(super) const AT_LOG: &str = "MONGODB_URI (--mongo)";
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Both, reached once and made ready.
pub(super) struct Target {
    uri: BrokerUri,
    pub(super) log: MongoLog,
    publisher: Publisher,
    task: PublisherTask,
    /// Waits that have a queue.
    pub(super) waits: Vec<WaitStep>,
    /// The queues whose figures can prove something.
    pub(super) queues: Vec<String>,
}

impl Target {
    /// Connects to both, and declares what the pair needs, and what `queues` need beside it.
    pub(super) async fn reach(pair: ConsumerSettings, queues: &[String]) -> anyhow::Result<Self> {
        let log = MongoLog::connect(&pair.mongodb_uri, &pair.mongodb_database).await?;
        log.ping().await.context(AT_LOG)?;
        let endpoints = &pair.delivery.endpoints.list;
        let of_queues = queues.iter().filter_map(|queue| endpoint_of(queue));
        // Endpoints that the settings no longer have.
        let left: BTreeSet<EndpointName> = of_queues
            .filter(|name| endpoints.iter().all(|known| known.name != *name))
            .collect();
        let uri = pair.broker;
        let needed = topology(endpoints, &left, []);
        declare(&uri, &needed).await?;
        let (publisher, task) =
            Publisher::start(uri.clone(), NAME, Topology::default(), CONFIRM_LIMIT);
        let work_queues = endpoints
            .iter()
            .map(|e| &e.name)
            .chain(&left)
            .map(work_queue);
        let others = [DEAD_QUEUE, RESULTS_QUEUE].map(str::to_owned);
        Ok(Self {
            log,
            publisher,
            task,
            waits: endpoints.iter().flat_map(waits_of).collect(),
            queues: work_queues.chain(others).collect(),
            uri,
        })
    }

    /// Makes sure that there is a queue for a wait.
    pub(super) async fn prepare(&mut self, wait: WaitStep) -> anyhow::Result<()> {
        if !self.waits.contains(&wait) {
            declare(&self.uri, &topology(&[], [], [wait])).await?;
            self.waits.push(wait);
        }
        Ok(())
    }

    /// A look at the queues, on a connection of its own: the one before may be gone.
    pub(super) async fn inspect(&self) -> anyhow::Result<Inspector> {
        Inspector::open(&self.uri, NAME).await.context(AT_BROKER)
    }

    /// Publishes until the broker has it; gives up where no queue takes it, and once nothing
    /// was confirmed for too long.
    pub(super) async fn publish(&self, message: &Outgoing) -> Result<(), PublishError> {
        let begun = Instant::now();
        loop {
            match self.publisher.publish(message.clone()).await {
                Ok(()) => return Ok(()),
                Err(PublishError::Unroutable) => return Err(PublishError::Unroutable),
                Err(error) if begun.elapsed() >= PATIENCE => return Err(error),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Says goodbye to the broker.
    pub(super) async fn leave(self) {
        self.task.close(CLOSE_LIMIT).await;
    }
}

fn waits_of(endpoint: &EndpointSettings) -> Vec<WaitStep> {
    endpoint.retry_rule.wait_steps()
}

async fn declare(uri: &BrokerUri, topology: &Topology) -> anyhow::Result<()> {
    let broker = Broker::from(uri.clone());
    match ConsumerConnection::connect(&broker, NAME, topology).await {
        Ok(intake) => intake.close().await,
        Err(error) => bail!("{AT_BROKER}: {uri} can't be used: {error}"),
    }
    Ok(())
}
