//! Faults of MongoDB: frozen, killed, disk full, concurrent writes by two consumers.

use std::time::Duration;

use tokio::time::sleep;
use wahook_tests::mongod::Mongod;

use crate::act::Act;
use crate::gateway::Rate;
use crate::script::Script;
use crate::until::until;

/// Disk size. Journal, oplog and indexes need 300 MB without any data.
const DISK_MEGABYTES: u32 = 500;

pub(super) async fn frozen(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send(Rate::STEADY)?;
    act.more_accepted(500).await?;
    act.stage.mongod.freeze();
    act.kills += 1;
    let posted = delivered_meanwhile(act).await;
    act.stage.mongod.thaw();
    posted?;
    act.more_accepted(500).await
}

pub(super) async fn killed(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send(Rate::STEADY)?;
    act.more_accepted(500).await?;
    act.stage.mongod.try_kill9().await?;
    act.kills += 1;
    let posted = delivered_meanwhile(act).await;
    act.stage.mongod.try_restart().await?;
    posted?;
    act.more_accepted(500).await
}

/// Checks that deliveries do not wait for the log.
async fn delivered_meanwhile(act: &mut Act<'_>) -> anyhow::Result<()> {
    sleep(Duration::from_secs(3)).await;
    act.more_posts(500).await?;
    sleep(Duration::from_secs(act.size.pick(3, 57))).await;
    Ok(())
}

pub(super) async fn disk_full(act: &mut Act<'_>) -> anyhow::Result<()> {
    let mongod = Mongod::start_on_small_disk(DISK_MEGABYTES).await;
    let uri = mongod.uri();
    let mongod = act.log_on(mongod, uri).await?;
    act.send(Rate::STEADY)?;
    act.more_accepted(500).await?;
    mongod.disk().fill()?;
    act.kills += 1;
    until("results wait at the broker", || async {
        let metrics = act.stage.consumer()?.metrics().await;
        Ok(metrics.sum_where("wahook_log_results_total", &[("path", "spilled")]) > 0.0)
    })
    .await?;
    act.more_posts(500).await?;
    mongod.disk().make_room()?;
    // MongoDB exits if it can't write its journal.
    if !mongod.is_running() {
        act.note = "MongoDB exited".to_owned();
    }
    mongod.try_restart().await?;
    act.more_accepted(500).await
}

/// Sends each event to two independent producers, so that two consumers insert it at the same
/// time.
pub(super) async fn race(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.webhook(Script::Succeeds);
    act.stage.add_consumer(&[]).await;
    let second = act.stage.second_producer().await;
    let producers = vec![act.stage.producer_url(), second.base_url()];
    act.send_to(producers, Rate::burst(act.size.pick(2_000, 20_000)))?;
    act.all_accepted().await?;
    act.note = "each event published twice".to_owned();
    act.all_done().await
}
