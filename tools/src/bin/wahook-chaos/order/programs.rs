//! Producer and consumers, with RabbitMQ and MongoDB.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::sleep;
use wahook_tests::mongod::Mongod;
use wahook_tests::pair::{self, Pair, Place};
use wahook_tests::random::Random;
use wahook_tests::receiver::Receiver;
use wahook_tests::stored_log::StoredIn;

use super::system::{KILLS, SETTINGS, System, receiver};
use crate::brokers::{Brokers, Nodes};

const CONSUMERS: usize = 3;
/// Kills of consumers after which a broker is killed too.
const BROKER_KILLS: [usize; 2] = [8, 16];
/// Time for which a killed node of a cluster stays away.
const AWAY: Duration = Duration::from_secs(3);

pub(super) struct Programs {
    brokers: Brokers,
    mongod: Mongod,
    pair: Pair,
    log: StoredIn,
}

impl Programs {
    pub(super) async fn start(nodes: Nodes) -> anyhow::Result<Self> {
        let (brokers, mongod) = tokio::join!(Brokers::start(nodes), Mongod::start());
        let brokers = brokers?;
        let place = Place {
            amqp_url: brokers.amqp_url(),
            mongodb_uri: mongod.uri(),
            database: "wahook-order".to_owned(),
        };
        let log = StoredIn::MongoDb(place.clone());
        let pair = Pair::start(place, receiver().await, &SETTINGS).await;
        for _ in 1..CONSUMERS {
            pair.add_consumer().await;
        }
        Ok(Self {
            brokers,
            mongod,
            pair,
            log,
        })
    }

    async fn kill_broker(&self, random: &mut Random) -> anyhow::Result<()> {
        match &self.brokers {
            Brokers::Single(node) => {
                node.try_kill9().await?;
                node.try_restart().await
            }
            Brokers::Cluster(cluster) => {
                let node = cluster.node(random.within(0, 2))?;
                node.try_kill9().await?;
                sleep(AWAY).await;
                node.try_restart().await?;
                cluster.wait_whole().await
            }
        }
    }
}

impl System for Programs {
    fn receiver(&self) -> &Receiver {
        &self.pair.receiver
    }

    fn url(&self) -> String {
        self.pair.producer.base_url()
    }

    async fn versions(&self) -> anyhow::Result<String> {
        let versions = pair::versions(self.brokers.node()?, &self.mongod).await?;
        let nodes = match self.brokers {
            Brokers::Single(_) => "one node",
            Brokers::Cluster(_) => "three nodes",
        };
        Ok(format!("{versions}, {nodes}"))
    }

    async fn kill(&mut self, kill: usize, random: &mut Random) -> anyhow::Result<()> {
        let index = random.within(0, CONSUMERS - 1);
        let consumer = {
            let consumers = self.pair.consumers.lock();
            let mut consumers = consumers.unwrap_or_else(PoisonError::into_inner);
            let last = consumers.len() - 1;
            consumers.swap_remove(index.min(last))
        };
        consumer.kill9().await;
        if BROKER_KILLS.contains(&kill) {
            self.kill_broker(random).await?;
        }
        self.pair.add_consumer().await;
        Ok(())
    }

    fn killed(&self) -> String {
        format!("{KILLS} consumers and {} brokers", BROKER_KILLS.len())
    }

    async fn dead_letters(&self) -> anyhow::Result<u64> {
        self.log.count_failed().await
    }
}
