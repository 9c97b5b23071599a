//! The redrive of dead letters is killed before it completes.

use std::time::Duration;

use tokio::time::sleep;

use crate::act::Act;
use crate::script::Script;
use crate::until::until;

pub(super) async fn interrupted(act: &mut Act<'_>) -> anyhow::Result<()> {
    // Those in flight at 200 per second; on a busy machine more than one.
    act.duplicates_per_kill = 10;
    act.webhook(Script::Fails);
    act.send_burst(act.size.pick(500, 5_000)).await?;
    act.all_done().await?;
    act.webhook(Script::Succeeds);
    act.plan.is_redriven = true;
    for _ in 0..act.size.pick(5, 20) {
        let redrive = ["dead", "redrive", "--all", "--rate", "200"];
        let command = act.stage.start_command(&redrive).await;
        let within = act.random.within(50, 500);
        sleep(Duration::from_millis(within as u64)).await;
        command.kill9().await;
        act.kills += 1;
    }
    until("the dead letters are requeued", || async {
        let depths = act.stage.brokers.node()?.queue_depths().await;
        let dead = depths.get("wahook.dead");
        Ok(dead.is_none_or(|(_, unacked)| *unacked == 0))
    })
    .await?;
    act.stage.command(&["dead", "redrive", "--all"]).await?;
    Ok(())
}
