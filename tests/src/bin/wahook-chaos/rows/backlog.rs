//! Nobody consumes for a while; then everything comes at once.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;
use wahook_tests::process;

use crate::act::Act;
use crate::script::Script;

/// Against the memory that draining a tenth of it took.
const FLAT: f64 = 1.5;

pub(super) async fn drained_flat(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.webhook(Script::Succeeds);
    let events = act.size.pick(10_000, 100_000);
    let few = drain(act, events / 10).await?;
    let many = drain(act, events).await?;
    act.note = format!(
        "consumer's peak {} MiB for {}, {} MiB for {events}",
        few / 1024,
        events / 10,
        many / 1024
    );
    ensure!(many as f64 <= few as f64 * FLAT, "{}", act.note);
    Ok(())
}

/// The consumer's highest resident memory while it drains, in KiB.
async fn drain(act: &mut Act<'_>, events: u64) -> anyhow::Result<u64> {
    act.stage.stop_consumers().await;
    act.send_burst(events).await?;
    act.kills += 1;
    let enough = act.stage.receiver.count() + usize::try_from(events)?;
    act.stage.restore().await?;
    let pid = act.stage.consumer()?.pid();
    let mut peak = 0;
    let mut seen = 0;
    while act.stage.receiver.count() < enough {
        let still = act.stage.receiver.count();
        // Waits for ever only as long as it gets on.
        sleep(Duration::from_millis(50)).await;
        seen = if still == act.stage.receiver.count() {
            seen + 1
        } else {
            0
        };
        ensure!(
            seen < 600,
            "{} posts to go, and none arrives",
            enough - still
        );
        peak = peak.max(process::memory(pid)?.0);
    }
    Ok(peak)
}
