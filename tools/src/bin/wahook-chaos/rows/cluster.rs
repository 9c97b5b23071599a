//! Faults of a cluster of three nodes. An ordered endpoint has its load beside the usual one.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::sleep;

use super::Row;
use super::broker::DUPLICATES_PER_KILL;
use crate::act::Act;
use crate::gateway::Rate;

/// Time after which publishes to queues without a majority have failed.
const NO_MAJORITY_AFTER: Duration = Duration::from_secs(6);

/// Rows on a cluster, in execution order. The first one is the baseline for the others.
pub(super) const ROWS: &[Row] = &[
    Row::cluster("cluster", "three nodes, none", play!(no_fault)).not_short(),
    Row::cluster(
        "cluster-each",
        "three nodes, each killed in turn",
        play!(each_killed),
    ),
    Row::cluster(
        "cluster-two",
        "three nodes, two killed at once",
        play!(two_killed),
    )
    .not_short(),
    Row::cluster(
        "cluster-rolling",
        "three nodes, restarted one after another",
        play!(rolling_restart),
    )
    .not_short(),
    Row::cluster(
        "cluster-frozen",
        "three nodes, the leader of the work queue frozen (SIGSTOP) for 20 s",
        play!(leader_frozen),
    )
    .not_short(),
    Row::cluster(
        "cluster-parted",
        "three nodes, the leader of the work queue cut off from the others for 90 s",
        play!(parted),
    )
    .not_short(),
    Row::cluster(
        "cluster-rejoins-empty",
        "three nodes, the leader of the work queue loses its data and joins again",
        play!(rejoins_empty),
    )
    .not_short(),
];

async fn no_fault(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send_ordered()?;
    act.send(Rate {
        senders: 256,
        ..Rate::burst(act.size.pick(5_000, 20_000))
    })?;
    act.all_accepted().await
}

/// Starts both loads.
async fn send(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.stage.broker_settled().await;
    act.duplicates_per_kill = DUPLICATES_PER_KILL;
    act.send_ordered()?;
    act.send(Rate::STEADY)?;
    act.more_accepted(500).await
}

async fn each_killed(act: &mut Act<'_>) -> anyhow::Result<()> {
    send(act).await?;
    for kill in 0..act.size.pick(1, 6) {
        let index = kill % 3;
        act.stage
            .brokers
            .cluster()?
            .node(index)?
            .try_kill9()
            .await?;
        act.kills += 1;
        sleep(Duration::from_secs(act.size.pick(2, 10))).await;
        let cluster = act.stage.brokers.cluster()?;
        cluster.node(index)?.try_restart().await?;
        cluster.wait_whole().await?;
        act.more_accepted(500).await?;
    }
    Ok(())
}

/// Without a majority nothing is accepted; nothing that was accepted is lost.
async fn two_killed(act: &mut Act<'_>) -> anyhow::Result<()> {
    send(act).await?;
    for _ in 0..act.size.pick(1, 2) {
        let cluster = act.stage.brokers.cluster()?;
        let (one, two) = (cluster.node(0)?, cluster.node(1)?);
        let killed = tokio::join!(one.try_kill9(), two.try_kill9());
        killed.0.and(killed.1)?;
        act.kills += 1;
        act.some_refused().await?;
        sleep(NO_MAJORITY_AFTER).await;
        let before = act.gateway()?.accepted();
        sleep(Duration::from_secs(act.size.pick(4, 20))).await;
        let after = act.gateway()?.accepted();
        ensure!(before == after, "accepted without a majority");
        let cluster = act.stage.brokers.cluster()?;
        let (one, two) = (cluster.node(0)?, cluster.node(1)?);
        let restarted = tokio::join!(one.try_restart(), two.try_restart());
        restarted.0.and(restarted.1)?;
        cluster.wait_whole().await?;
        act.more_accepted(500).await?;
    }
    Ok(())
}

async fn rolling_restart(act: &mut Act<'_>) -> anyhow::Result<()> {
    send(act).await?;
    for index in 0..3 {
        let cluster = act.stage.brokers.cluster()?;
        cluster.node(index)?.try_stop().await?;
        act.kills += 1;
        cluster.node(index)?.try_restart().await?;
        cluster.wait_whole().await?;
        act.more_accepted(500).await?;
    }
    Ok(())
}

async fn leader_frozen(act: &mut Act<'_>) -> anyhow::Result<()> {
    send(act).await?;
    let leader = leader_of_work_queue(act).await?;
    act.stage.brokers.cluster()?.node(leader)?.freeze();
    act.kills += 1;
    sleep(Duration::from_secs(20)).await;
    act.stage.brokers.cluster()?.node(leader)?.thaw();
    act.stage.brokers.cluster()?.wait_whole().await?;
    act.more_accepted(500).await
}

async fn parted(act: &mut Act<'_>) -> anyhow::Result<()> {
    send(act).await?;
    let leader = leader_of_work_queue(act).await?;
    act.stage.brokers.cluster()?.cut_off(leader).await?;
    act.kills += 1;
    let before = act.gateway()?.accepted();
    sleep(Duration::from_secs(90)).await;
    let meanwhile = act.gateway()?.accepted() - before;
    act.note = format!("{meanwhile} events accepted during the cut");
    act.stage.brokers.cluster()?.heal(leader).await?;
    act.more_accepted(500).await
}

async fn rejoins_empty(act: &mut Act<'_>) -> anyhow::Result<()> {
    send(act).await?;
    let leader = leader_of_work_queue(act).await?;
    let node = act.stage.brokers.cluster()?.node(leader)?;
    node.try_stop().await?;
    act.kills += 1;
    act.more_accepted(500).await?;
    act.stage.brokers.cluster()?.join_empty(leader).await?;
    act.more_accepted(500).await
}

async fn leader_of_work_queue(act: &Act<'_>) -> anyhow::Result<usize> {
    let leaders = act.stage.brokers.cluster()?.leaders("/").await?;
    let leader = leaders.get("wahook.deliver.default");
    leader.copied().context("the work queue has no leader")
}
