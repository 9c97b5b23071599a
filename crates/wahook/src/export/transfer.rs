//! Transfer from the data file to broker and database.

mod bar;
mod log;
mod queued;
mod reconciliation;
mod route;
mod target;

use anyhow::ensure;
use std::path::Path;
use wahook_consumer::ConsumerSettings;
use wahook_embedded::MessageTable;
use wahook_runtime::{Settings, Shutdown};

use super::{output::print_line, source::Source, tally};
use bar::Bar;
use reconciliation::Reconciliation;
use target::Target;

/// Transfer with the settings of the future consumer.
#[derive(Debug)]
pub(super) struct Transfer(ConsumerSettings);

impl Transfer {
    /// Reads the settings; faults are recorded in `settings`.
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        ConsumerSettings::read(settings).map(Self)
    }

    /// Moves the messages and copies the log. Returns true if the export is complete and the
    /// broker's counts are consistent.
    pub(super) async fn run(self, data: &Path, stop: Shutdown) -> anyhow::Result<bool> {
        let source = Source::open(data, self.0.delivery.log_retention_days)?;
        move_all(source, self.0, stop).await
    }
}

async fn move_all(
    source: Source,
    consumer: ConsumerSettings,
    stop: Shutdown,
) -> anyhow::Result<bool> {
    let Source {
        contents,
        since,
        mut tally,
    } = source;
    let mut target = Target::connect(consumer, &contents.queues()?).await?;
    let mut reconciliation = Reconciliation::begin(&target).await?;
    let bar = Bar::new(tally.in_the_file());
    // The log first: later deliveries then add to a complete record.
    let moved = async {
        log::copy(&contents, since, &target, &mut tally.records, &bar, &stop).await?;
        for table in [MessageTable::Waiting, MessageTable::Queued] {
            let export = queued::MessageExport {
                contents: &contents,
                target: &mut target,
                tally: &mut tally,
                reconciliation: &mut reconciliation,
                bar: &bar,
            };
            export.move_table(table, &stop).await?;
        }
        anyhow::Ok(())
    };
    let moved = moved.await;
    bar.end();
    let report = match &moved {
        Ok(()) => Some(reconciliation.finish(&target).await?),
        Err(_) => None,
    };
    target.close().await;
    print_line(&tally.to_string())?;
    moved?;
    let mut is_complete = tally.is_complete();
    if let Some(report) = report {
        print_line(&report.to_string())?;
        is_complete &= report.is_consistent();
    }
    let end = if is_complete {
        "export complete: no messages left in the file; it keeps its copy of the log"
    } else {
        "export incomplete: see LEFT and the broker's counts; what is left is still in the file"
    };
    print_line(end)?;
    Ok(is_complete)
}

fn ensure_running(stop: &Shutdown) -> anyhow::Result<()> {
    ensure!(
        !stop.is_soft(),
        "stopped before the end; run the same command to continue"
    );
    Ok(())
}
