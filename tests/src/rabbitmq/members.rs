//! Nodes of a cluster.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::{fmt::Write, fs};

use anyhow::Context;
use futures_util::future::try_join_all;

use super::node::{Identity, Membership, Node, node_name};
use super::{BrokerOptions, RabbitMq, launch_beam};
use crate::folder::RunFolder;
use crate::ports::free_port;

impl RabbitMq {
    /// Starts this many nodes at once, which form a cluster.
    pub(crate) async fn try_start_members(count: usize) -> anyhow::Result<Vec<Self>> {
        let folders: Vec<_> = (0..count)
            .map(|_| RunFolder::of_server("rabbitmq"))
            .collect::<Result<_, _>>()?;
        let epmd_port = free_port()?;
        let cluster = Membership {
            names: folders.iter().map(node_name).collect(),
            cookie: random_cookie()?,
        };
        let options = BrokerOptions::default();
        let identity = |name: &String| Identity {
            name: name.clone(),
            epmd_port,
            cluster: Some(cluster.clone()),
        };
        let of_folders = folders.iter().zip(&cluster.names);
        let nodes: Vec<_> = of_folders
            .map(|(folder, name)| Node::prepare(folder, &options, identity(name)))
            .collect::<Result<_, _>>()?;
        let first = nodes.first().context("a cluster has nodes")?;
        let epmd = Arc::new(first.spawn_epmd()?);
        let beams = try_join_all(nodes.iter().map(|node| launch_beam(node, &epmd))).await?;
        let nodes = nodes.into_iter().zip(beams).zip(folders);
        let members = nodes.map(|((node, beam), folder)| Self {
            beam: Mutex::new(Some(beam)),
            epmd: Arc::clone(&epmd),
            node,
            folder,
        });
        Ok(members.collect())
    }

    /// Removes the data of a stopped node.
    pub(crate) fn remove_data(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(self.node.data_folder()).context("the data of a node")
    }

    /// Runs `rabbitmq-queues` and returns its output.
    pub(crate) async fn queues(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.run("rabbitmq-queues", arguments).await
    }

    /// Name of the node, `wahook-…@localhost`.
    pub(crate) fn node_name(&self) -> &str {
        &self.node.name
    }
}

fn random_cookie() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut cookie = String::new();
    for byte in bytes {
        write!(cookie, "{byte:02x}")?;
    }
    Ok(cookie)
}
