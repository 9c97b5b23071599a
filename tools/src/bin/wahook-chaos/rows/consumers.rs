//! Consumers are scaled up and down, or have a wrong clock.

use crate::act::Act;
use crate::gateway::Rate;
use crate::stage;

pub(super) async fn scaled_by_sigterm(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.send(Rate::STEADY)?;
    for _ in 0..act.size.pick(2, 6) {
        scale_up(act).await?;
        for _ in 0..3 {
            stage::stop(&act.stage.take_consumer()?).await;
            act.kills += 1;
            act.more_posts(200).await?;
        }
    }
    Ok(())
}

pub(super) async fn scaled_by_kill(act: &mut Act<'_>) -> anyhow::Result<()> {
    // Twice the concurrency was unacked and may be attempted again.
    act.duplicates_per_kill = 2 * 64;
    act.send(Rate::STEADY)?;
    for _ in 0..act.size.pick(2, 6) {
        scale_up(act).await?;
        for _ in 0..3 {
            act.stage.take_consumer()?.kill9().await;
            act.kills += 1;
            act.more_posts(200).await?;
        }
    }
    Ok(())
}

async fn scale_up(act: &mut Act<'_>) -> anyhow::Result<()> {
    for _ in 0..3 {
        act.stage.add_consumer(&[]).await;
    }
    act.more_posts(500).await
}

/// Steps the consumer's clock an hour forwards, then backwards.
pub(super) async fn clock_steps(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.plan.clock_is_off = true;
    act.send(Rate::STEADY)?;
    for hour in ["3600000@500", "-3600000@500"] {
        act.stage
            .only_consumer(&[("WAHOOK_CLOCK_STEP", hour)])
            .await;
        act.kills += 1;
        act.more_posts(act.size.pick(1_000, 10_000)).await?;
    }
    act.all_done().await
}
