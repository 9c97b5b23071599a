//! Commands `dead redrive` and `dead discard`.

use anyhow::bail;
use std::{
    io::{Write, stdout},
    num::NonZeroU32,
};
use wahook_queue::{Broker, DeadLetters};
use wahook_runtime::Shutdown;

use super::{
    Selection, progress,
    redrive_options::RedriveOptions,
    sweep::{Action, Sweep},
};
use crate::publishing;

/// Republishes the selected dead letters to their work queues.
pub(super) async fn redrive(
    letters: &mut DeadLetters,
    selection: Selection,
    options: RedriveOptions,
    broker: Broker,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let RedriveOptions { dry_run, to, rate } = options;
    if dry_run {
        let action = Action::DryRedrive { to };
        return process_all(letters, selection, action, None, shutdown).await;
    }
    let (publisher, task) = publishing::connect(broker, "wahook-consumer dead redrive").await?;
    let action = Action::Redrive {
        publisher,
        to,
        earlier: None,
    };
    let processed = process_all(letters, selection, action, rate, shutdown).await;
    publishing::close(task).await;
    processed
}

/// Removes the selected dead letters permanently.
pub(super) async fn discard(
    letters: &mut DeadLetters,
    selection: Selection,
    dry_run: bool,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let action = if dry_run {
        Action::DryDiscard
    } else {
        Action::Discard
    };
    process_all(letters, selection, action, None, shutdown).await
}

/// Applies the action to the selected dead letters and prints the report.
async fn process_all(
    letters: &mut DeadLetters,
    selection: Selection,
    action: Action,
    rate: Option<NonZeroU32>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let mut report = action.report();
    let (filter, limit) = selection.into_parts();
    let bar = progress(letters.left());
    let sweep = Sweep {
        action,
        limit,
        rate,
        selects: &|letter| filter.matches(letter),
        is_stopped: &|| shutdown.is_soft(),
        on_progress: &|report| bar.set_position(report.inspected.into()),
    };
    let processed = sweep.run(letters, &mut report).await;
    bar.finish_and_clear();
    writeln!(stdout(), "{report}")?;
    processed?;
    if report.failed() > 0 {
        let verb = report.verb;
        bail!("some dead letters could not be {verb}; they are still in wahook.dead");
    }
    Ok(())
}
