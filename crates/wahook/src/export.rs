//! `wahook export`: moves queued messages from the data file to RabbitMQ, and copies the log
//! to MongoDB.
//!
//! A message is removed from the file only after the broker has confirmed it. An export that
//! is killed loses no message and duplicates at most those in flight. The log stays in the
//! file; records are merged with existing ones, as by a consumer.

mod bar;
mod log;
mod queued;
mod reconciliation;
mod route;
mod tally;
mod target;

use anyhow::ensure;
use clap::Args;
use std::{
    io::{Write, stdout},
    path::PathBuf,
    time::Duration,
};
use wahook_consumer::{ConsumerSettings, DeliverySettings};
use wahook_domain::UnixMillis;
use wahook_embedded::{Contents, MessageTable};
use wahook_runtime::{
    Settings, Shutdown, clock,
    settings::shared::{AMQP_URL, MONGODB_DATABASE, MONGODB_URI},
};

use crate::StandaloneSettings;
use bar::Bar;
use reconciliation::Reconciliation;
use tally::Tally;
use target::Target;

/// Options of `wahook export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Broker address, amqp://user:password@host:5672/%2f [default: AMQP_URL]
    ///
    /// Other users of the machine can read command lines, but not environment variables.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// MongoDB server, mongodb://user:password@host:27017/?replicaSet=rs0 [default: MONGODB_URI]
    #[arg(long, value_name = "URI")]
    mongo: Option<String>,
    /// Database of the delivery log [default: MONGODB_DATABASE, else whatsapp-api]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Count the contents of the file; connect to nothing, move nothing
    #[arg(long)]
    dry_run: bool,
}

/// Options and settings of an export.
#[derive(Debug)]
pub struct Export {
    data: PathBuf,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Count(DeliverySettings),
    Move(ConsumerSettings),
}

impl ExportArguments {
    /// Reads the settings of the future consumer; faults are recorded in `settings`.
    pub fn read(self, settings: &mut Settings) -> Option<Export> {
        let options = [
            (AMQP_URL, self.to),
            (MONGODB_URI, self.mongo),
            (MONGODB_DATABASE, self.database),
        ];
        for (setting, value) in options {
            if let Some(value) = value {
                settings.outrank(&setting, value);
            }
        }
        StandaloneSettings::assume_webhook(settings);
        let data = StandaloneSettings::read_data(settings);
        let work = if self.dry_run {
            Work::Count(DeliverySettings::read(settings)?)
        } else {
            Work::Move(ConsumerSettings::read(settings)?)
        };
        Some(Export { data: data?, work })
    }
}

/// Runs an export. Returns true if it is complete and the broker's counts are consistent.
///
/// # Errors
/// If the file is in use, or broker or database can't be reached at the start, or are
/// unavailable for too long. The same command then continues.
pub async fn run(export: Export, stop: Shutdown) -> anyhow::Result<bool> {
    // Blocking is acceptable: one transaction at a time, and no other task uses the thread.
    let contents = Contents::open(&export.data)?;
    let since = retention_start(match &export.work {
        Work::Count(delivery) => delivery.log_retention_days,
        Work::Move(consumer) => consumer.delivery.log_retention_days,
    });
    let tally = Tally::new(&contents.amounts(since)?);
    match export.work {
        Work::Count(_) => print_line(&tally.counted()).map(|()| true),
        Work::Move(consumer) => move_all(&contents, since, tally, consumer, stop).await,
    }
}

async fn move_all(
    contents: &Contents,
    since: UnixMillis,
    mut tally: Tally,
    consumer: ConsumerSettings,
    stop: Shutdown,
) -> anyhow::Result<bool> {
    let mut target = Target::connect(consumer, &contents.queues()?).await?;
    let mut reconciliation = Reconciliation::begin(&target).await?;
    let bar = Bar::new(tally.in_the_file());
    // The log first: later deliveries then add to a complete record.
    let moved = async {
        log::copy(contents, since, &target, &mut tally.records, &bar, &stop).await?;
        for table in [MessageTable::Waiting, MessageTable::Queued] {
            let export = queued::MessageExport {
                contents,
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

/// Returns the start of the retention period; older records are about to expire.
fn retention_start(retention_days: Option<u32>) -> UnixMillis {
    retention_days.map_or(UnixMillis::new(i64::MIN), |days| {
        clock::now().minus(Duration::from_secs(u64::from(days) * 24 * 60 * 60))
    })
}

fn ensure_running(stop: &Shutdown) -> anyhow::Result<()> {
    ensure!(
        !stop.is_soft(),
        "stopped before the end; run the same command to continue"
    );
    Ok(())
}

fn print_line(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{text}")?)
}
