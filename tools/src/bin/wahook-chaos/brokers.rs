//! Broker of a stage: one node, or a cluster.

use anyhow::Context;
use futures_util::future::try_join_all;
use wahook_tests::cluster::Cluster;
use wahook_tests::rabbitmq::RabbitMq;

/// Number of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nodes {
    One,
    Three,
}

pub(crate) enum Brokers {
    Single(Box<RabbitMq>),
    Cluster(Cluster),
}

impl Brokers {
    pub(crate) async fn start(nodes: Nodes) -> anyhow::Result<Self> {
        Ok(match nodes {
            Nodes::One => Self::Single(Box::new(RabbitMq::start().await)),
            Nodes::Three => Self::Cluster(Cluster::try_start().await?),
        })
    }

    /// The single node, or the first one of the cluster.
    pub(crate) fn node(&self) -> anyhow::Result<&RabbitMq> {
        match self {
            Self::Single(node) => Ok(node),
            Self::Cluster(cluster) => cluster.node(0),
        }
    }

    pub(crate) fn cluster(&self) -> anyhow::Result<&Cluster> {
        match self {
            Self::Single(_) => None,
            Self::Cluster(cluster) => Some(cluster),
        }
        .context("the broker has one node")
    }

    /// Ends every fault of a cluster, after a row that failed in the middle of one.
    pub(crate) async fn repair(&self) -> anyhow::Result<()> {
        let Self::Cluster(cluster) = self else {
            return Ok(());
        };
        for node in cluster.nodes().iter().filter(|node| node.is_running()) {
            node.thaw();
        }
        let dead = cluster.nodes().iter().filter(|node| !node.is_running());
        try_join_all(dead.map(RabbitMq::try_restart)).await?;
        for index in 0..cluster.nodes().len() {
            cluster.reconnect(index).await?;
        }
        cluster.wait_whole().await
    }

    /// URL with all nodes.
    pub(crate) fn amqp_url(&self) -> String {
        match self {
            Self::Single(node) => node.amqp_url(),
            Self::Cluster(cluster) => cluster.amqp_url(),
        }
    }
}
