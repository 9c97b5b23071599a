//! Figures of an ordered endpoint's lanes: the time until the next owner of a lane attempts its
//! events, the balance, other chats of the lane while one is blocked, and owners that are cut off.

mod arrivals;
mod blocked;
mod changes;
mod cut_off;
mod endpoint;
mod figures;
mod kind;
mod load;
mod outcome;
mod ownership;
mod parted;
mod repeats;
mod report;
mod takeover;

use std::path::Path;

use anyhow::ensure;
use wahook_tests::cluster::Cluster;
use wahook_tests::mongod::Mongod;
use wahook_tests::pair::{self, Servers};

use crate::brokers::Nodes;
use report::Report;

/// Runs the parts for one node or for three. Prints their results, and writes them into the part
/// of the broker in `file`; fails if a bound is exceeded, or an event is lost or out of order.
pub(crate) async fn run(
    nodes: Nodes,
    kills: usize,
    seed: u64,
    file: Option<&Path>,
) -> anyhow::Result<()> {
    let report = match nodes {
        Nodes::One => on_one_node(kills, seed, file).await?,
        Nodes::Three => on_three_nodes(seed, file).await?,
    };
    println!("\n{}", report.markdown());
    report.write()?;
    let exceeded = report.exceeded();
    ensure!(exceeded.is_empty(), "{} (seed {seed})", exceeded.join("; "));
    Ok(())
}

async fn on_one_node(kills: usize, seed: u64, file: Option<&Path>) -> anyhow::Result<Report<'_>> {
    let servers = Servers::start().await;
    let mut report = Report::new(&servers.versions().await?, Nodes::One, seed, file)?;
    report.add_times(blocked::measure(&servers).await?);
    drop(servers);
    // Servers of its own for each part: another number of lanes is a change of the endpoint, and
    // the same chats would repeat events.
    report.add_times(takeover::measure(&Servers::start().await, kills, seed).await?);
    report.add(cut_off::frozen(&Servers::start().await, seed).await?);
    report.add(cut_off::reset(&Servers::start().await).await?);
    Ok(report)
}

async fn on_three_nodes(seed: u64, file: Option<&Path>) -> anyhow::Result<Report<'_>> {
    let (cluster, mongod) = tokio::join!(Cluster::try_start(), Mongod::start());
    let cluster = cluster?;
    let versions = pair::versions(cluster.node(0)?, &mongod).await?;
    let mut report = Report::new(&versions, Nodes::Three, seed, file)?;
    report.add(parted::measure(&cluster, &mongod, seed).await?);
    Ok(report)
}
