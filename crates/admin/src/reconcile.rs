//! `reconcile`: accounts for every accepted event from the log and
//! the broker.

mod accepted;
mod account;
mod broker_state;
mod classify;
mod patience;
mod report;
mod search;
mod tally;

use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{Write, stdout},
    path::PathBuf,
    time::Duration,
};
use wahook_delivery_log::LogReader;
use wahook_domain::{EndpointName, PREFETCH_FACTOR};
use wahook_queue::{BrokerUri, Inspector};
use wahook_runtime::{
    Age, Moment, Settings, Shutdown, clock,
    settings::shared::{AMQP_URL, read_timeout},
};

use account::{Selection, search_and_report};
use search::{Search, SearchOptions};

/// Time for a retry's confirm and the log, in addition to the requests.
const CONFIRM_AND_LOG_TIME: Duration = Duration::from_secs(15);
/// Default grace period if no message is hidden: time for messages that move between two reads.
const MIN_GRACE: Duration = Duration::from_secs(2);
const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// Arguments of `reconcile`.
#[derive(Debug, Args)]
pub struct ReconcileArguments {
    /// Events accepted since 90s, 30m, 2h or 7d ago, or since a time such as 2026-01-31T12:00:00Z [default: 24h]
    #[arg(long, value_name = "TIME", conflicts_with = "accepted")]
    since: Option<Moment>,
    /// Events accepted before this time [default: now]
    #[arg(long, value_name = "TIME", conflicts_with = "accepted")]
    until: Option<Moment>,
    /// File of event ids that were answered 202, one per line; `-` for standard input
    #[arg(long, value_name = "FILE")]
    accepted: Option<PathBuf>,
    /// Endpoint to check (may be repeated); with --accepted each id must be at each of them [default: all]
    #[arg(long, value_name = "NAME")]
    endpoint: Vec<EndpointName>,
    /// Ignore missing dead letters
    #[arg(long)]
    discarded: bool,
    /// Time to wait for messages in flight [default: 8 x WEBHOOK_TIMEOUT + 15s; 2s for a data file]
    ///
    /// At least 8 times the longest timeout of an endpoint (or its rate limit's interval, if longer) plus 15s: a consumer may hold a message that long. A data file shows the messages that are held, too.
    #[arg(long, value_name = "TIME")]
    grace: Option<Age>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Log and queues to compare, and how they are read.
pub struct Sources {
    pub log: Box<dyn LogReader>,
    pub inspector: Inspector,
    /// Maximum time for which a consumer may hold a message that can't be seen meanwhile;
    /// zero for a data file, which shows all messages.
    pub max_hold: Duration,
}

/// Settings of `reconcile` on RabbitMQ.
#[derive(Debug)]
pub struct ReconcileSettings {
    broker: BrokerUri,
    webhook_timeout: Duration,
}

impl ReconcileSettings {
    /// Reads the settings. Returns `None` after a fault; faults are collected in
    /// `settings`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let broker = settings.value(&AMQP_URL);
        let webhook_timeout = read_timeout(settings);
        Some(Self {
            broker: broker?,
            webhook_timeout: webhook_timeout?,
        })
    }

    /// Connects to the broker.
    ///
    /// # Errors
    /// If it can't be reached.
    pub async fn open(&self, log: Box<dyn LogReader>) -> anyhow::Result<Sources> {
        Ok(Sources {
            log,
            inspector: Inspector::open(&self.broker, "wahook-consumer reconcile").await?,
            max_hold: self.webhook_timeout * PREFETCH_FACTOR.into() + CONFIRM_AND_LOG_TIME,
        })
    }
}

/// Returns true if every delivery is accounted for. `sources` opens log and queues.
///
/// # Errors
/// Fails if that can't be determined: the broker or the log is unavailable, or a
/// missing message may be in a queue that can't be read.
pub async fn run(
    arguments: ReconcileArguments,
    sources: impl Future<Output = anyhow::Result<Sources>>,
    shutdown: Shutdown,
) -> anyhow::Result<bool> {
    let reconciled = reconcile(arguments, sources, &shutdown).await;
    reconciled.context("reconciliation incomplete")
}

async fn reconcile(
    arguments: ReconcileArguments,
    sources: impl Future<Output = anyhow::Result<Sources>>,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    let selection = selection(&arguments)?;
    let Sources {
        log,
        inspector,
        max_hold,
    } = sources.await?;
    let options = SearchOptions {
        endpoints: arguments.endpoint.iter().cloned().collect(),
        max_hold,
        grace: arguments.grace.map_or(max_hold.max(MIN_GRACE), Age::get),
        dead_letters_discarded: arguments.discarded,
    };
    let search = Search::new(options, &*log, &inspector, shutdown, progress());
    let report = search_and_report(search, selection).await;
    inspector.close().await;
    let report = report?;
    let text = if arguments.json {
        serde_json::to_string(&report)?
    } else {
        report.to_string()
    };
    writeln!(stdout(), "{text}")?;
    (report.adds_up).with_context(|| {
        let count = report.undetermined.len();
        format!("{count} deliveries could not be determined")
    })
}

/// Returns the deliveries that the arguments select.
fn selection(arguments: &ReconcileArguments) -> anyhow::Result<Selection> {
    if let Some(path) = &arguments.accepted {
        return accepted::read(path).map(Selection::Ids);
    }
    let now = clock::now();
    let since = match &arguments.since {
        Some(since) => since.before(now),
        None => now.minus(DEFAULT_WINDOW),
    };
    let until = arguments
        .until
        .as_ref()
        .map_or(now, |until| until.before(now));
    ensure!(since < until, "--since must be before --until");
    Ok(Selection::Window(since, until))
}

/// Progress bar, shown on a terminal only.
fn progress() -> ProgressBar {
    const TEMPLATE: &str = "{spinner} {pos} checked, {per_sec} {msg}";
    let bar = ProgressBar::new_spinner();
    // The template is constant and valid; an invalid one would leave the plain spinner.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar
}
