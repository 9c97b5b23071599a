//! No consumer runs for a while; then the backlog is drained.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;
use wahook_tests::process;

use crate::act::Act;
use crate::script::Script;

/// Permitted peak memory, as a factor of the peak for a tenth of the events.
const FLAT: f64 = 1.5;

pub(super) async fn drained_flat(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.webhook(Script::Succeeds);
    let events = act.size.pick(10_000, 100_000);
    let few = drain(act, events / 10).await?;
    let many = drain(act, events).await?;
    act.note = format!(
        "consumer's peak memory {} MiB for {} events, {} MiB for {events}",
        few / 1024,
        events / 10,
        many / 1024
    );
    ensure!(many as f64 <= few as f64 * FLAT, "{}", act.note);
    Ok(())
}

/// Drains a backlog and returns the consumer's peak resident memory in KiB.
async fn drain(act: &mut Act<'_>, events: u64) -> anyhow::Result<u64> {
    act.stage.stop_consumers().await;
    act.send_burst(events).await?;
    act.kills += 1;
    let enough = act.stage.receiver.count() + usize::try_from(events)?;
    act.stage.restore().await?;
    let mut seen = 0;
    while act.stage.receiver.count() < enough {
        let still = act.stage.receiver.count();
        // No time limit while posts arrive; fails after 30 s without one.
        sleep(Duration::from_millis(50)).await;
        seen = if still == act.stage.receiver.count() {
            seen + 1
        } else {
            0
        };
        ensure!(
            seen < 600,
            "{} posts are missing and none arrives",
            enough - still
        );
    }
    // The consumer is a new one.
    Ok(process::memory(act.stage.consumer()?.pid())?.1)
}
