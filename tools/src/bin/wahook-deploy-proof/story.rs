//! The scenario: load without faults, then one fault after another. Each fault must fire its alerts
//! and no other alert.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use crate::chapters::{CALM_TIME, FAILS, POISON, SOON, expected};
use crate::gateway::{CALM, FAILING};
use crate::observers;
use crate::prometheus::Prometheus;
use crate::series::now;
use crate::stage::{Stage, whole};
use crate::watch::Watch;
use crate::webhook::Count;

/// Result of the scenario: the servers, still running, and the counts.
#[derive(Debug)]
pub(crate) struct Story {
    /// One of each version.
    pub(crate) observers: Vec<Arc<Prometheus>>,
    pub(crate) console: String,
    pub(crate) watch: Watch,
    pub(crate) began: f64,
    /// Time when all deliveries of the first two chapters had ended; `count` is of this time.
    pub(crate) settled: f64,
    pub(crate) count: Count,
    pub(crate) accepted: f64,
    pub(crate) ended: f64,
    _stage: Stage,
}

pub(crate) async fn tell(deploy: &Path) -> anyhow::Result<Story> {
    let stage = Stage::set(deploy).await?;
    let watch = Watch::start(stage.observers.clone());
    let began = now();
    watch.chapter(CALM_TIME);
    stage.gateway.pace(40, CALM);
    sleep(Duration::from_secs(40)).await;
    let fired = watch.first();
    let is_calm = fired.iter().all(BTreeMap::is_empty);
    ensure!(is_calm, "alerts fired without a fault: {fired:?}");

    watch.chapter(FAILS);
    stage.gateway.pace(40, FAILING);
    sleep(Duration::from_secs(25)).await;
    stage.gateway.pace(0, CALM);
    let count = stage.settle().await;
    for prometheus in &stage.observers {
        observers::counted(prometheus, &count).await;
    }
    // Time for two more scrapes, also on a busy machine.
    sleep(Duration::from_secs(8)).await;
    let (settled, accepted) = (now(), whole(stage.gateway.accepted()));
    watch.fired(&expected(FAILS), SOON).await?;

    watch.chapter(POISON);
    stage.gateway.pace(40, CALM);
    stage.poison().await?;
    watch.fired(&expected(POISON), SOON).await?;
    stage.freeze_the_log(&watch).await?;
    stage.hang(&watch).await?;
    stage.raise_an_alarm(&watch).await?;
    stage.kill_consumers(&watch).await?;
    stage.restart_the_broker(&watch).await?;
    // Last, because the consumers are replaced, which at this speed is an outage.
    stage.take_the_webhook_down(&watch).await?;
    stage.reload();
    sleep(Duration::from_secs(12)).await;
    stage.gateway.pace(0, CALM);
    sleep(Duration::from_secs(8)).await;
    Ok(Story {
        ended: now(),
        observers: stage.observers.clone(),
        console: stage.console.base_url(),
        watch,
        began,
        settled,
        count,
        accepted,
        _stage: stage,
    })
}
