//! The webhook is down for longer than the retries last.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;

use crate::act::Act;
use crate::gateway::Rate;
use crate::script::Script;
use crate::until::until;

/// With the circuit breaker no event is dead-lettered: events wait until the webhook recovers.
pub(super) async fn down(act: &mut Act<'_>) -> anyhow::Result<()> {
    // Failed attempts before the circuit opens, and the probes.
    act.duplicates_per_kill = 500;
    act.plan.script = Script::Succeeds;
    act.stage.set_script(Script::Succeeds);
    act.stage.only_consumer(&[("WEBHOOK_CIRCUIT", "on")]).await;
    act.send(Rate::STEADY)?;
    act.more_posts(500).await?;
    act.stage.set_script(Script::Fails);
    act.kills += 1;
    until("the endpoint is paused", || async {
        let metrics = act.stage.consumer()?.metrics().await;
        Ok(metrics.sum("wahook_circuit_open") > 0.0)
    })
    .await?;
    // Without the circuit breaker the retries would be exhausted after 2.1 s.
    sleep(Duration::from_secs(act.size.pick(6, 60))).await;
    act.stage.set_script(Script::Succeeds);
    act.more_posts(500).await?;
    let metrics = act.stage.consumer()?.metrics().await;
    let dead = metrics.sum_where("wahook_deliveries_total", &[("result", "dead_lettered")]);
    ensure!(dead == 0.0, "{dead} dead letters");
    Ok(())
}
