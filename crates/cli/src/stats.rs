//! `wahook stats`: how many deliveries ended how.

mod table;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use std::{
    io::{Write, stdout},
    time::Duration,
};
use wahook_delivery_log::CountBy;
use wahook_runtime::{Moment, clock};

use crate::deliveries::Deliveries;
use table::Report;

/// Where nothing else is said.
const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// What is counted.
#[derive(Debug, Args)]
pub struct StatsArguments {
    /// Events accepted since: 90s, 30m, 2h or 7d ago, or a moment such as 2026-01-31T12:00:00Z [default: 24h]
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Events accepted before [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// A row for each
    #[arg(long, value_enum, default_value = "event")]
    by: By,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Event,
    Status,
    Endpoint,
}

/// Counts and prints.
pub(crate) async fn run(arguments: StatsArguments, log: &impl Deliveries) -> anyhow::Result<bool> {
    let now = clock::now();
    let since = arguments.since.map(|since| since.before(now));
    let since = since.unwrap_or_else(|| now.minus(DEFAULT_WINDOW));
    let until = arguments.until.map_or(now, |until| until.before(now));
    ensure!(since < until, "--since must be before --until");
    let by = match arguments.by {
        By::Event => CountBy::Event,
        By::Status => CountBy::Status,
        By::Endpoint => CountBy::Endpoint,
    };
    let report = Report::new(since, until, by, log.count(since, until, by).await?);
    let text = if arguments.json {
        serde_json::to_string(&report)?
    } else {
        report.to_string()
    };
    writeln!(stdout(), "{text}")?;
    Ok(true)
}
