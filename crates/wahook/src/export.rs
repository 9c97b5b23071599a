//! `wahook export`: from one process to the pair. What is queued in the file goes to RabbitMQ,
//! what is logged to MongoDB.
//!
//! A message leaves the file when the broker has confirmed it, never before: a kill at any
//! moment loses none, and leaves no more copies than were in flight. The log is copied, and
//! stays; a record that is there already is merged with, as a consumer would.

mod bar;
mod log;
mod proof;
mod queued;
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
use wahook_embedded::{Contents, Shelf};
use wahook_runtime::{Settings, Shutdown, clock};

use crate::StandaloneSettings;
use bar::Bar;
use proof::Proof;
use tally::Tally;
use target::Target;

/// Where to, and how.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The broker, amqp://user:password@host:5672/%2f [default: AMQP_URL]
    ///
    /// Others on this machine can read a command line; the environment they can't.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// The log, mongodb://user:password@host:27017/?replicaSet=rs0 [default: MONGODB_URI]
    #[arg(long, value_name = "URI")]
    mongo: Option<String>,
    /// Its database [default: MONGODB_DATABASE, else whatsapp-api]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Only count what is in the file: nothing is connected to, nothing moves
    #[arg(long)]
    dry_run: bool,
}

/// The same, once the environment was asked as well.
#[derive(Debug)]
pub struct Export {
    data: PathBuf,
    work: Work,
}

/// What is to be done.
#[derive(Debug)]
enum Work {
    Count(DeliverySettings),
    Move(ConsumerSettings),
}

impl ExportArguments {
    /// Reads the settings that the pair will have; faults are noted in `settings`.
    pub fn read(self, settings: &mut Settings) -> Option<Export> {
        let options = [
            ("AMQP_URL", self.to),
            ("MONGODB_URI", self.mongo),
            ("MONGODB_DATABASE", self.database),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                settings.outrank(name, value);
            }
        }
        StandaloneSettings::assume_webhook(settings);
        let data = StandaloneSettings::read_data(settings);
        let work = if self.dry_run {
            Work::Count(DeliverySettings::read(settings)?)
        } else {
            Work::Move(ConsumerSettings::read(settings)?)
        };
        Some(Export { data, work })
    }
}

/// Exports. Says whether all that is in the file is where it belongs.
///
/// # Errors
/// When the file is in use, or broker or database can't be reached, or are lost for longer
/// than is waited. Then the same command goes on where it was.
pub async fn run(export: Export, stop: Shutdown) -> anyhow::Result<bool> {
    // What it blocks for is one transaction at a time, and nobody shares its thread.
    let contents = Contents::open(&export.data)?;
    let since = oldest_kept(match &export.work {
        Work::Count(delivery) => delivery.log_retention_days,
        Work::Move(pair) => pair.delivery.log_retention_days,
    });
    let tally = Tally::of(&contents.amounts(since)?);
    match export.work {
        Work::Count(_) => say(&tally.counted()).map(|()| true),
        Work::Move(pair) => move_all(&contents, since, tally, pair, stop).await,
    }
}

async fn move_all(
    contents: &Contents,
    since: UnixMillis,
    mut tally: Tally,
    pair: ConsumerSettings,
    stop: Shutdown,
) -> anyhow::Result<bool> {
    let mut target = Target::reach(pair, &contents.queues()?).await?;
    let mut proof = Proof::begin(&target).await?;
    let bar = Bar::new(tally.in_the_file());
    // The log first: whatever is delivered from then on adds to a record that is whole.
    let moved = async {
        log::copy(contents, since, &target, &mut tally.records, &bar, &stop).await?;
        for shelf in [Shelf::Waiting, Shelf::Queues] {
            let moving = queued::Moving {
                contents,
                target: &mut target,
                tally: &mut tally,
                proof: &mut proof,
                bar: &bar,
            };
            moving.all(shelf, &stop).await?;
        }
        anyhow::Ok(())
    };
    let moved = moved.await;
    bar.end();
    let proven = match &moved {
        Ok(()) => Some(proof.end(&target).await?),
        Err(_) => None,
    };
    target.leave().await;
    say(&tally.to_string())?;
    moved?;
    let mut adds_up = tally.adds_up();
    if let Some(proven) = proven {
        say(&proven.to_string())?;
        adds_up &= proven.holds();
    }
    let end = if adds_up {
        "all that was queued has left the file; its log is there still"
    } else {
        "it does not add up: see LEFT, and the broker's figures; what is left is still in the file"
    };
    say(end)?;
    Ok(adds_up)
}

/// What is older is about to be removed, here and there.
fn oldest_kept(retention_days: Option<u32>) -> UnixMillis {
    retention_days.map_or(UnixMillis::new(i64::MIN), |days| {
        clock::now().minus(Duration::from_secs(u64::from(days) * 24 * 60 * 60))
    })
}

fn not_stopped(stop: &Shutdown) -> anyhow::Result<()> {
    ensure!(
        !stop.is_soft(),
        "stopped before the end: the same command goes on where it was"
    );
    Ok(())
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{text}")?)
}
