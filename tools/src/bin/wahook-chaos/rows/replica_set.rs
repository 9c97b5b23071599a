//! Faults of the primary of a MongoDB replica set of three.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use wahook_tests::replica_set::ReplicaSet;

use super::Row;
use crate::act::Act;
use crate::gateway::Rate;

pub(super) const ROWS: &[Row] = &[
    Row::long(
        "log-primary-killed",
        "three MongoDB servers, the primary killed",
        play!(killed),
    ),
    Row::new(
        "log-primary-stepped-down",
        "three MongoDB servers, the primary steps down",
        play!(stepped_down),
    ),
    Row::long(
        "log-primary-frozen",
        "three MongoDB servers, the primary frozen (SIGSTOP) for 20 s",
        play!(frozen),
    ),
];

/// Moves the log to a replica set, and starts the load.
async fn send(act: &mut Act<'_>) -> anyhow::Result<Arc<ReplicaSet>> {
    let set = ReplicaSet::try_start().await?;
    let uri = set.uri();
    let set = act.log_on(set, uri).await?;
    act.send(Rate::STEADY)?;
    act.more_accepted(500).await?;
    Ok(set)
}

async fn killed(act: &mut Act<'_>) -> anyhow::Result<()> {
    let set = send(act).await?;
    for _ in 0..act.size.pick(1, 3) {
        let primary = set.try_primary_other_than(None).await?;
        set.member(primary)?.try_kill9().await?;
        act.kills += 1;
        act.more_posts(500).await?;
        set.try_primary_other_than(Some(primary)).await?;
        act.more_accepted(500).await?;
        set.member(primary)?.try_restart().await?;
        set.try_wait_whole().await?;
    }
    end(act).await
}

async fn stepped_down(act: &mut Act<'_>) -> anyhow::Result<()> {
    let set = send(act).await?;
    for _ in 0..act.size.pick(1, 3) {
        let primary = set.try_step_down().await?;
        act.kills += 1;
        act.more_posts(500).await?;
        set.try_primary_other_than(Some(primary)).await?;
        set.try_wait_whole().await?;
    }
    end(act).await
}

async fn frozen(act: &mut Act<'_>) -> anyhow::Result<()> {
    let set = send(act).await?;
    let primary = set.try_primary_other_than(None).await?;
    set.member(primary)?.freeze();
    act.kills += 1;
    let frozen = Duration::from_secs(20);
    let (posted, elected, ()) = tokio::join!(
        act.more_posts(500),
        set.try_primary_other_than(Some(primary)),
        sleep(frozen)
    );
    set.member(primary)?.thaw();
    posted?;
    elected?;
    set.try_wait_whole().await?;
    end(act).await
}

/// Adds the number of results that waited for a primary to the note.
async fn end(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.more_accepted(500).await?;
    let metrics = act.stage.consumer()?.metrics().await;
    let waited = metrics.sum_where("wahook_log_results_total", &[("path", "spilled")]);
    act.note = format!("{waited} results waited in the broker");
    Ok(())
}
