//! `wahook export`: moves queued messages from the data file to RabbitMQ, and copies the log
//! to MongoDB.
//!
//! A message is removed from the file only after the broker has confirmed it. An export that
//! is killed loses no message and duplicates at most those in flight. The log stays in the
//! file; records are merged with existing ones, as by a consumer.

mod output;
mod source;
#[cfg_attr(
    not(feature = "mongodb"),
    expect(
        dead_code,
        reason = "without a transfer only the contents of the file are counted"
    )
)]
mod tally;
#[cfg(feature = "mongodb")]
mod transfer;
#[cfg(not(feature = "mongodb"))]
#[path = "export/unsupported.rs"]
mod transfer;

use clap::Args;
use std::path::PathBuf;
use wahook_consumer::DeliverySettings;
use wahook_runtime::{
    Settings, Shutdown,
    settings::shared::{AMQP_URL, MONGODB_DATABASE, MONGODB_URI},
};

use crate::StandaloneSettings;
use output::print_line;
use source::Source;
use transfer::Transfer;

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
    Count(Box<DeliverySettings>),
    Move(Box<Transfer>),
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
            Work::Count(Box::new(DeliverySettings::read(settings)?))
        } else {
            Work::Move(Box::new(Transfer::read(settings)?))
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
    match export.work {
        Work::Count(delivery) => {
            let source = Source::open(&export.data, delivery.log_retention_days)?;
            print_line(&source.tally.counted()).map(|()| true)
        }
        Work::Move(transfer) => transfer.run(&export.data, stop).await,
    }
}
