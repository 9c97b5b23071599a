//! Broker and database that receive the export.

use anyhow::{Context, bail};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use wahook_consumer::{ConsumerSettings, EndpointSettings, topology};
use wahook_domain::{EndpointName, WaitStep};
use wahook_mongo_log::MongoLog;
use wahook_queue::{
    Broker, BrokerUri, ConsumerConnection, Inspector, Outgoing, PublishError, Publisher,
    PublisherTask, Topology,
    topology::{DEAD_QUEUE, RESULTS_QUEUE, endpoint_of, work_queue},
};

/// Name of the broker connections.
const CONNECTION_NAME: &str = "wahook export";
/// Time limit for a publisher confirm before the publish is retried.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
/// Maximum time that broker or database may be unavailable during the export.
pub(super) const UNAVAILABLE_LIMIT: Duration = Duration::from_secs(60);
/// Interval between retries.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Settings of broker and database, for error messages.
pub(super) const BROKER_SETTING: &str = "AMQP_URL (--to)";
pub(super) const LOG_SETTING: &str = "MONGODB_URI (--mongo)";
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Connections to broker and database.
pub(super) struct Target {
    uri: BrokerUri,
    pub(super) log: MongoLog,
    publisher: Publisher,
    task: PublisherTask,
    /// Waits that have a queue at the broker.
    pub(super) waits: Vec<WaitStep>,
    /// Queues to reconcile.
    pub(super) queues: Vec<String>,
}

impl Target {
    /// Connects, and declares the consumer's topology and the `queues` of the file.
    pub(super) async fn connect(
        consumer: ConsumerSettings,
        queues: &[String],
    ) -> anyhow::Result<Self> {
        let log = consumer.log.open().await.context(LOG_SETTING)?;
        let endpoints = &consumer.delivery.endpoints.list;
        let of_queues = queues.iter().filter_map(|queue| endpoint_of(queue));
        // Endpoints that are no longer configured.
        let unconfigured: BTreeSet<EndpointName> = of_queues
            .filter(|name| endpoints.iter().all(|known| known.name != *name))
            .collect();
        let uri = consumer.broker;
        let needed = topology(endpoints, unconfigured.iter().map(|name| (name, None)), []);
        declare(&uri, &needed).await?;
        let (publisher, task) = Publisher::start(
            uri.clone(),
            CONNECTION_NAME,
            Topology::default(),
            CONFIRM_LIMIT,
        );
        let work_queues = endpoints
            .iter()
            .map(|e| &e.name)
            .chain(&unconfigured)
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

    /// Declares the queue of a wait unless it exists.
    pub(super) async fn declare_wait(&mut self, wait: WaitStep) -> anyhow::Result<()> {
        if !self.waits.contains(&wait) {
            declare(&self.uri, &topology(&[], [], [wait])).await?;
            self.waits.push(wait);
        }
        Ok(())
    }

    /// Opens an inspector on a new connection, since an earlier one may be closed.
    pub(super) async fn inspect(&self) -> anyhow::Result<Inspector> {
        Inspector::open(&self.uri, CONNECTION_NAME)
            .await
            .context(BROKER_SETTING)
    }

    /// Publishes a message, with retries. Fails if no queue matches, or after
    /// [`UNAVAILABLE_LIMIT`] without a confirm.
    pub(super) async fn publish(&self, message: &Outgoing) -> Result<(), PublishError> {
        let started = Instant::now();
        loop {
            match self.publisher.publish(message.clone()).await {
                Ok(()) => return Ok(()),
                Err(PublishError::Unroutable) => return Err(PublishError::Unroutable),
                Err(error) if started.elapsed() >= UNAVAILABLE_LIMIT => return Err(error),
                Err(_) => sleep(RETRY_INTERVAL).await,
            }
        }
    }

    /// Closes the connection to the broker.
    pub(super) async fn close(self) {
        self.task.close(CLOSE_LIMIT).await;
    }
}

fn waits_of(endpoint: &EndpointSettings) -> Vec<WaitStep> {
    endpoint.retry_rule.wait_steps()
}

async fn declare(uri: &BrokerUri, topology: &Topology) -> anyhow::Result<()> {
    let broker = Broker::from(uri.clone());
    match ConsumerConnection::connect(&broker, CONNECTION_NAME, topology).await {
        Ok(connection) => connection.close().await,
        Err(error) => bail!("{BROKER_SETTING}: {uri} can't be used: {error}"),
    }
    Ok(())
}
