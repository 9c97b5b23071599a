//! `wahook stats`: counts of deliveries by result.

mod table;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use std::{
    io::{Write, stdout},
    time::Duration,
};
use wahook_delivery_log::{CountBy, LogReader};
use wahook_runtime::{Moment, clock};

use table::Report;

/// Default of `--since`.
const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Args)]
pub struct StatsArguments {
    /// Count events accepted since: 90s, 30m, 2h or 7d ago, or a time such as 2026-01-31T12:00:00Z [default: 24h]
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Count events accepted before [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Group the rows by this field
    #[arg(long, value_enum, default_value = "event")]
    by: GroupBy,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum GroupBy {
    Event,
    Status,
    Endpoint,
}

pub(crate) async fn run(arguments: StatsArguments, log: &dyn LogReader) -> anyhow::Result<bool> {
    let now = clock::now();
    let since = arguments.since.map(|since| since.before(now));
    let since = since.unwrap_or_else(|| now.minus(DEFAULT_WINDOW));
    let until = arguments.until.map_or(now, |until| until.before(now));
    ensure!(since < until, "--since must be before --until");
    let by = match arguments.by {
        GroupBy::Event => CountBy::Event,
        GroupBy::Status => CountBy::Status,
        GroupBy::Endpoint => CountBy::Endpoint,
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
