//! Faults of the broker: killed, frozen, alarms, missing queue.

use std::time::Duration;

use tokio::time::sleep;

use crate::act::Act;
use crate::gateway::Rate;
use crate::script::Script;
use crate::stage::LONG_WAIT;
use crate::until::until;

/// Messages that a killed broker may redeliver: all unacked ones (twice the consumer's
/// concurrency), those moving from a wait queue to the work queue, and the retries of both.
pub(super) const DUPLICATES_PER_KILL: u64 = 400;

pub(super) async fn idle(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send_burst(act.size.pick(500, 2_000)).await?;
    act.all_done().await?;
    kill_and_restart(act).await?;
    act.send_burst(act.size.pick(500, 2_000)).await
}

pub(super) async fn under_load(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send(Rate::STEADY)?;
    for _ in 0..act.size.pick(2, 10) {
        act.more_accepted(1_000).await?;
        kill_and_restart(act).await?;
    }
    act.more_accepted(500).await
}

pub(super) async fn waiting(act: &mut Act<'_>) -> anyhow::Result<()> {
    let events = fill_the_wait_queue(act).await?;
    act.note = format!("{events} messages waiting");
    kill_and_restart(act).await
}

pub(super) async fn expiring(act: &mut Act<'_>) -> anyhow::Result<()> {
    let events = fill_the_wait_queue(act).await?;
    act.note = format!("{events} messages waiting");
    for _ in 0..act.size.pick(1, 3) {
        // The first retries have been delivered.
        act.more_posts(usize::try_from(events / 10)?).await?;
        kill_and_restart(act).await?;
    }
    Ok(())
}

pub(super) async fn restarts(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.stage.broker_settled().await;
    act.duplicates_per_kill = DUPLICATES_PER_KILL;
    act.send(Rate::STEADY)?;
    for _ in 0..9 {
        sleep(Duration::from_secs(20)).await;
        act.stage.brokers.node()?.try_stop().await?;
        act.kills += 1;
        act.stage.brokers.node()?.try_restart().await?;
    }
    act.more_accepted(500).await
}

/// Freezes the broker for longer than the 10 s in which a missing heartbeat is detected.
pub(super) async fn frozen(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.duplicates_per_kill = DUPLICATES_PER_KILL;
    act.send(Rate::STEADY)?;
    act.more_accepted(500).await?;
    act.stage.brokers.node()?.freeze();
    act.kills += 1;
    sleep(Duration::from_secs(act.size.pick(12, 30))).await;
    act.stage.brokers.node()?.thaw();
    act.more_accepted(500).await
}

pub(super) async fn memory_alarm(act: &mut Act<'_>) -> anyhow::Result<()> {
    let up = ["set_vm_memory_high_watermark", "0"];
    alarm(
        act,
        &up,
        &["set_vm_memory_high_watermark", "absolute", "1GB"],
    )
    .await
}

pub(super) async fn disk_alarm(act: &mut Act<'_>) -> anyhow::Result<()> {
    let up = ["set_disk_free_limit", "9000000GB"];
    alarm(act, &up, &["set_disk_free_limit", "50MB"]).await
}

/// Raises an alarm. Meanwhile the producer must answer 503, and the consumer must deliver and ack
/// all messages in the queue.
async fn alarm(act: &mut Act<'_>, up: &[&str], down: &[&str]) -> anyhow::Result<()> {
    // Events published when the alarm starts are confirmed only when it ends; the gateway has
    // repeated them by then.
    act.duplicates_per_kill = Rate::STEADY.senders as u64;
    act.webhook(Script::Succeeds);
    act.stage.stop_consumers().await;
    act.send_burst(1_000).await?;
    let broker = act.stage.brokers.node()?;
    broker.ctl(up).await?;
    act.send(Rate::STEADY)?;
    act.some_refused().await?;
    let backlog = act.stage.receiver.count() + 1_000;
    act.stage.add_consumer(&[]).await;
    until("the backlog arrives", || async {
        Ok(act.stage.receiver.count() >= backlog)
    })
    .await?;
    until("acks continue during the alarm", || async {
        let queues = act.stage.brokers.node()?.queue_depths().await;
        Ok(queues.get("wahook.deliver.default") == Some(&(0, 0)))
    })
    .await?;
    act.stage.brokers.node()?.ctl(down).await?;
    act.kills += 1;
    act.more_accepted(500).await
}

/// Deletes the work queue. Without `mandatory` the broker would drop unroutable messages and
/// confirm them.
pub(super) async fn queue_missing(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.stage.stop_consumers().await;
    let broker = act.stage.brokers.node()?;
    broker
        .ctl(&["delete_queue", "wahook.deliver.default"])
        .await?;
    act.kills += 1;
    act.send(Rate::STEADY)?;
    sleep(Duration::from_secs(2)).await;
    let accepted = act.gateway()?.accepted();
    act.note = format!("{accepted} accepted without a queue");
    act.stage.restore().await?;
    act.more_accepted(500).await
}

async fn kill_and_restart(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.stage.broker_settled().await;
    act.duplicates_per_kill = DUPLICATES_PER_KILL;
    act.stage.brokers.node()?.try_kill9().await?;
    act.kills += 1;
    act.stage.brokers.node()?.try_restart().await
}

/// Fills the wait queue and returns the number of waiting messages.
async fn fill_the_wait_queue(act: &mut Act<'_>) -> anyhow::Result<u64> {
    let events = 5_000;
    act.webhook(Script::FirstFails);
    act.plan.attempts = 2;
    act.stage.only_consumer(&LONG_WAIT).await;
    act.send_burst(events).await?;
    until("all retries are scheduled", || async {
        let metrics = act.stage.consumer()?.metrics().await;
        Ok(metrics.sum("wahook_retries_scheduled_total") >= events as f64)
    })
    .await?;
    Ok(events)
}
