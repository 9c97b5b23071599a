//! Cluster of three private RabbitMQ 4.3 nodes that a test can kill, freeze and cut off.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::time::sleep;

use crate::or_fail;
use crate::rabbitmq::RabbitMq;

const NODES: usize = 3;
/// A restarted node gets the entries of its queues that it has missed.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);

/// Prints the number of connected nodes, itself included, and the number of quorum queues that
/// one lost node would stop.
const STATE: &str = r#"io:format("~p ~p~n", [length([node() | nodes()]),
    length(rabbit_quorum_queue:list_with_minimum_quorum())])."#;
/// Prints the name of each quorum queue of a virtual host with the node of its leader.
const LEADERS: &str = r#"[begin
    {resource, _, queue, Name} = amqqueue:get_name(Queue),
    io:format("~s ~s~n", [Name, Leader])
  end || Queue <- rabbit_amqqueue:list(<<"VHOST">>), {_, Leader} <- [amqqueue:get_pid(Queue)]], ok."#;

/// Running cluster.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<RabbitMq>,
}

impl Cluster {
    /// Starts three empty nodes; fails the test if they do not form a cluster.
    pub async fn start() -> Self {
        or_fail("the cluster", Self::try_start().await)
    }

    pub async fn try_start() -> anyhow::Result<Self> {
        let nodes = RabbitMq::try_start_members(NODES).await?;
        let cluster = Self { nodes };
        cluster.wait_whole().await?;
        Ok(cluster)
    }

    pub fn nodes(&self) -> &[RabbitMq] {
        &self.nodes
    }

    pub fn node(&self, index: usize) -> anyhow::Result<&RabbitMq> {
        self.nodes.get(index).context("no such node")
    }

    /// URL with all nodes.
    pub fn amqp_url(&self) -> String {
        let hosts: Vec<_> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("amqp://guest:guest@{}/%2f", hosts.join(","))
    }

    /// Waits until all nodes are connected and no queue would stop without one of them.
    pub async fn wait_whole(&self) -> anyhow::Result<()> {
        let expected = format!("{NODES} 0");
        for node in &self.nodes {
            let end = Instant::now() + WHOLE_WITHIN;
            loop {
                let state = match node.ctl(&["eval", STATE]).await {
                    Ok(state) if state.starts_with(&expected) => break,
                    Ok(state) => state,
                    Err(error) => error.to_string(),
                };
                if Instant::now() > end {
                    bail!("{} is not whole: {state}", node.node_name());
                }
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Lets a stopped node join again without its data, as a new member of every queue. The steps
    /// are those of docs/deployment.md.
    pub async fn join_empty(&self, index: usize) -> anyhow::Result<()> {
        let node = self.node(index)?;
        let mut others = self.nodes.iter().filter(|other| other.is_running());
        let other = others.next().context("no node runs")?;
        let name = node.node_name();
        node.remove_data()?;
        other.ctl(&["forget_cluster_node", name]).await?;
        node.try_restart().await?;
        other.queues(&["grow", name, "all"]).await?;
        self.wait_whole().await
    }

    /// Cuts a node off from the others. Its clients stay connected.
    pub async fn cut_off(&self, index: usize) -> anyhow::Result<()> {
        let cut = "erlang:set_cookie(Peer, 'cut off'), erlang:disconnect_node(Peer)";
        self.for_each_peer(index, cut).await
    }

    /// Ends a cut. Returns when the node is connected with the others.
    pub async fn heal(&self, index: usize) -> anyhow::Result<()> {
        self.reconnect(index).await?;
        self.wait_whole().await
    }

    /// Ends a cut without waiting for the queues.
    pub async fn reconnect(&self, index: usize) -> anyhow::Result<()> {
        let heal = "erlang:set_cookie(Peer, erlang:get_cookie()), net_kernel:connect_node(Peer)";
        self.for_each_peer(index, heal).await
    }

    /// Returns the leader of each quorum queue of a virtual host.
    pub async fn leaders(&self, vhost: &str) -> anyhow::Result<BTreeMap<String, usize>> {
        let question = LEADERS.replace("VHOST", vhost);
        let running = self.nodes.iter().find(|node| node.is_running());
        let node = running.context("no node runs")?;
        let answer = node.ctl(&["eval", &question]).await?;
        let leader = |line: &str| {
            let (queue, name) = line.split_once(' ')?;
            let index = self.nodes.iter().position(|n| n.node_name() == name)?;
            Some((queue.to_owned(), index))
        };
        Ok(answer.lines().filter_map(leader).collect())
    }

    async fn for_each_peer(&self, index: usize, step: &str) -> anyhow::Result<()> {
        let node = self.node(index)?;
        let peers = self.nodes.iter().filter(|peer| peer.port() != node.port());
        let peers: Vec<_> = peers
            .map(|peer| format!("'{}'", peer.node_name()))
            .collect();
        let peers = peers.join(", ");
        let steps = format!("[begin {step} end || Peer <- [{peers}]].");
        node.ctl(&["eval", &steps]).await.map(|_| ())
    }
}
