//! Faults of the broker with a producer that stores events in a spool.

use std::time::Duration;

use anyhow::Context;
use tokio::time::sleep;
use wahook_tests::folder::RunFolder;
use wahook_tests::program::Program;

use super::broker::DUPLICATES_PER_KILL;
use crate::act::Act;
use crate::gateway::Rate;
use crate::stage::stop;
use crate::until::until;

/// Stops the broker. A gateway that never repeats goes on sending, and the producer is killed in
/// between.
pub(super) async fn outage(act: &mut Act<'_>) -> anyhow::Result<()> {
    let folder = RunFolder::temporary("chaos-spool")?;
    let spool = folder.join("spool.db");
    let spool = spool.to_str().context("the folder's name")?;
    let settings = [("PRODUCER_SPOOL", spool)];
    let mut producer = act.stage.launch_producer(&settings).await;
    act.stage.broker_settled().await;
    act.duplicates_per_kill = DUPLICATES_PER_KILL;
    let half = Duration::from_secs(act.size.pick(5, 30));
    act.send(Rate::NEVER_REPEATED)?;
    act.more_accepted(200).await?;
    act.stage.brokers.node()?.try_stop().await?;
    act.kills += 1;
    sleep(half).await;
    producer.kill9().await;
    act.kills += 1;
    drop(producer);
    producer = act.stage.launch_producer(&settings).await;
    act.more_accepted(1).await?;
    sleep(half).await;
    let spooled = producer.metrics().await.sum("wahook_spool_events");
    act.stage.brokers.node()?.try_restart().await?;
    until_forwarded(&producer).await?;
    act.more_accepted(200).await?;
    act.note = format!("{spooled} events in the spool");
    act.stop_sending().await?;
    until_forwarded(&producer).await?;
    // The folder of the spool is removed after this row.
    stop(&producer).await;
    Ok(())
}

async fn until_forwarded(producer: &Program) -> anyhow::Result<()> {
    until("the spool is empty", || async {
        let metrics = producer.metrics().await;
        Ok(metrics.get("wahook_spool_events") == Some(0.0))
    })
    .await
}
