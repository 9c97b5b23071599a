//! A program is killed at an exact point, restarted, and killed there again.

use std::time::Duration;

use anyhow::{bail, ensure};
use wahook_failpoint::Failpoint;
use wahook_tests::program::Program;

use crate::act::Act;
use crate::gateway::Rate;
use crate::script::Script;
use crate::until::until;

/// Low, so that a killed consumer leaves few unacked messages.
const CONCURRENCY: usize = 8;
/// Prefetched messages at this concurrency; see `prefetch` in `consumer/src/endpoint_set.rs`.
const PREFETCHED: usize = 8 * CONCURRENCY;
/// One of so many kills comes after more passages than messages are prefetched, so that some of
/// them were acked: the broker dead-letters a message after 100 deliveries, and on a busy machine
/// a consumer may be killed each time before the log has answered.
const SURE_PROGRESS: u32 = 8;

pub(super) async fn producer_published(act: &mut Act<'_>) -> anyhow::Result<()> {
    kill_producers(act, Failpoint::Published).await
}

pub(super) async fn confirmed(act: &mut Act<'_>) -> anyhow::Result<()> {
    kill_producers(act, Failpoint::Confirmed).await
}

pub(super) async fn received(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send(Rate::STEADY)?;
    kill_consumers(act, Failpoint::Received, 4 * CONCURRENCY).await
}

pub(super) async fn posted(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send(Rate::STEADY)?;
    kill_consumers(act, Failpoint::Posted, 4 * CONCURRENCY).await
}

pub(super) async fn recorded(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send(Rate::STEADY)?;
    kill_consumers(act, Failpoint::Recorded, 4 * CONCURRENCY).await
}

pub(super) async fn writing(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send(Rate::STEADY)?;
    kill_consumers(act, Failpoint::Writing, CONCURRENCY).await
}

pub(super) async fn retry_published(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.webhook(Script::FirstFails);
    act.send(Rate::STEADY)?;
    kill_consumers(act, Failpoint::Published, 2 * CONCURRENCY).await
}

pub(super) async fn retry_confirmed(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.webhook(Script::FirstFails);
    act.send(Rate::STEADY)?;
    kill_consumers(act, Failpoint::RetryConfirmed, 2 * CONCURRENCY).await
}

/// Freezes MongoDB first, so that results wait at the broker for the drainer.
pub(super) async fn drained(act: &mut Act<'_>) -> anyhow::Result<()> {
    let kills = kills(act);
    act.stage.mongod.freeze();
    act.send(Rate::burst(u64::from(kills) * 30))?;
    let spilled = until("results wait at the broker", || async {
        let metrics = act.stage.consumer()?.metrics().await;
        let spilled = metrics.sum_where("wahook_log_results_total", &[("path", "spilled")]);
        Ok(spilled >= f64::from(kills) * 20.0)
    })
    .await;
    act.stage.stop_consumers().await;
    act.stage.mongod.thaw();
    spilled?;
    kill_consumers(act, Failpoint::Drained, 16).await
}

fn kills(act: &Act<'_>) -> u32 {
    act.size.pick(50, 200)
}

async fn kill_producers(act: &mut Act<'_>, place: Failpoint) -> anyhow::Result<()> {
    // Each sender may repeat an event that is already published, and some events have more than
    // one attempt.
    act.duplicates_per_kill = 2 * Rate::STEADY.senders as u64;
    act.send(Rate::STEADY)?;
    for _ in 0..kills(act) {
        let failpoint = at(act, place, 0, 40);
        let settings = [("WAHOOK_FAILPOINT", failpoint.as_str())];
        let producer = act.stage.launch_producer(&settings).await;
        killed_by_itself(&producer).await?;
        act.kills += 1;
    }
    act.stage.restore().await?;
    act.more_accepted(100).await
}

async fn kill_consumers(
    act: &mut Act<'_>,
    place: Failpoint,
    passages: usize,
) -> anyhow::Result<()> {
    // Each prefetched message may be attempted again, and so may its retry.
    act.duplicates_per_kill = 2 * PREFETCHED as u64;
    let concurrency = CONCURRENCY.to_string();
    act.stage.stop_consumers().await;
    for kill in 0..kills(act) {
        let first = match place {
            // Passed once for each batch.
            Failpoint::Writing | Failpoint::Drained => 0,
            _ if kill % SURE_PROGRESS != SURE_PROGRESS - 1 => 0,
            _ => PREFETCHED,
        };
        let failpoint = at(act, place, first, passages);
        let settings = [
            ("WAHOOK_FAILPOINT", failpoint.as_str()),
            ("WEBHOOK_CONCURRENCY", concurrency.as_str()),
        ];
        let consumer = act.stage.launch_consumer(&settings).await;
        killed_by_itself(&consumer).await?;
        act.kills += 1;
    }
    ensure!(act.stage.mongod.is_running(), "MongoDB has exited");
    act.stage.restore().await
}

/// Draws one of so many passages that follow the first ones.
fn at(act: &mut Act<'_>, place: Failpoint, first: usize, passages: usize) -> String {
    let passage = first + act.random.within(1, passages);
    format!("{}@{passage}", place.as_str())
}

/// Waits until the failpoint of a program has killed it.
async fn killed_by_itself(program: &Program) -> anyhow::Result<()> {
    use std::os::unix::process::ExitStatusExt;
    let status = program.wait_exit(Duration::from_secs(60)).await;
    if status.signal() != Some(9) {
        bail!(
            "exited with {status} instead of at its failpoint: {}",
            program.stderr_so_far()
        );
    }
    Ok(())
}
