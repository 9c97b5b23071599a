//! `reconcile`: accounts for every accepted event from the log and
//! the broker.

mod accepted;
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
    collections::BTreeSet,
    io::{Write, stdout},
    path::PathBuf,
    time::Duration,
};
use tokio::time::Instant;
use wahook_delivery_log::LogReader;
use wahook_domain::{EndpointName, EventId, PREFETCH_FACTOR, UnixMillis};
use wahook_queue::{
    BrokerUri, Inspector,
    topology::{DEAD_QUEUE, RESULTS_QUEUE, wait_queue, work_queue},
};
use wahook_runtime::{
    Age, Moment, Settings, Shutdown, clock,
    settings::shared::{AMQP_URL, read_timeout},
};

use report::{Finding, QueueRow, Report, Row, Scope};
use search::{Search, SearchOptions};

/// Time for a retry's confirm and the log, in addition to the requests.
const CONFIRM_AND_LOG_TIME: Duration = Duration::from_secs(15);
const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// Safety margin: the log removes a record up to a minute after it expires.
const REMOVAL_MARGIN: Duration = Duration::from_secs(5 * 60);

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
    /// Time to wait for messages in flight [default: 8 x WEBHOOK_TIMEOUT + 15s]
    ///
    /// At least 8 times the longest timeout of an endpoint (or its rate limit's interval, if longer) plus 15s: a consumer may hold a message that long.
    #[arg(long, value_name = "TIME")]
    grace: Option<Age>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Settings of `reconcile`, except the location of the log.
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
}

/// Returns true if every delivery is accounted for. `log` opens the delivery log.
///
/// # Errors
/// Fails if that can't be determined: the broker or the log is unavailable, or a
/// missing message may be in a queue that can't be read.
pub async fn run(
    arguments: ReconcileArguments,
    settings: ReconcileSettings,
    log: impl Future<Output = anyhow::Result<Box<dyn LogReader>>>,
    shutdown: Shutdown,
) -> anyhow::Result<bool> {
    let reconciled = reconcile(arguments, settings, log, &shutdown).await;
    reconciled.context("reconciliation incomplete")
}

async fn reconcile(
    arguments: ReconcileArguments,
    settings: ReconcileSettings,
    log: impl Future<Output = anyhow::Result<Box<dyn LogReader>>>,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    let selection = Selection::from_arguments(&arguments)?;
    let log = log.await?;
    let inspector = Inspector::open(&settings.broker, "wahook-consumer reconcile").await?;
    let max_hold = settings.webhook_timeout * PREFETCH_FACTOR.into() + CONFIRM_AND_LOG_TIME;
    let options = SearchOptions {
        endpoints: arguments.endpoint.iter().cloned().collect(),
        max_hold,
        grace: arguments.grace.map_or(max_hold, Age::get),
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

/// Deliveries to account for.
enum Selection {
    Window(UnixMillis, UnixMillis),
    Ids(BTreeSet<EventId>),
}

impl Selection {
    fn from_arguments(arguments: &ReconcileArguments) -> anyhow::Result<Self> {
        if let Some(path) = &arguments.accepted {
            return accepted::read(path).map(Self::Ids);
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
        Ok(Self::Window(since, until))
    }
}

async fn search_and_report(mut search: Search<'_>, selection: Selection) -> anyhow::Result<Report> {
    let mut notes = Vec::new();
    let scope = match selection {
        Selection::Ids(ids) => {
            search.check_ids(&ids).await?;
            search.resolve().await?;
            Scope::Ids {
                accepted: ids.len(),
            }
        }
        Selection::Window(requested, until) => {
            let since = limit_to_retention(&search, requested).await?;
            if since != requested {
                notes.push(format!(
                    "the log keeps no records from before {}",
                    since.to_iso8601()
                ));
            }
            search.check_window(since, until).await?;
            search.resolve().await?;
            for (endpoint, depth) in queues(&search).await? {
                search.tally.add_unread(&endpoint, depth.messages);
            }
            report::window(since, until)
        }
    };
    search.bar.finish_and_clear();
    report(&search, scope, notes).await
}

/// Returns the start of the window, but no earlier than the log's retention allows.
async fn limit_to_retention(search: &Search<'_>, since: UnixMillis) -> anyhow::Result<UnixMillis> {
    let lifetime = search.log.lifetime().await?;
    let oldest = lifetime.map(|lifetime| {
        let kept = lifetime.saturating_sub(REMOVAL_MARGIN);
        clock::now().minus(kept)
    });
    Ok(oldest.map_or(since, |oldest| since.max(oldest)))
}

async fn queues(search: &Search<'_>) -> anyhow::Result<Vec<(EndpointName, wahook_queue::Depth)>> {
    let mut queues = Vec::new();
    for (endpoint, _) in search.watched() {
        if let Some(depth) = search.inspector.depth(&work_queue(endpoint)).await? {
            queues.push((endpoint.clone(), depth));
        }
    }
    Ok(queues)
}

async fn report(
    search: &Search<'_>,
    scope: Scope,
    mut notes: Vec<String>,
) -> anyhow::Result<Report> {
    let now = Instant::now();
    let (findings, undetermined): (Vec<_>, Vec<_>) = search
        .unresolved
        .iter()
        .partition(|delivery| search.is_finding(delivery, now));
    let adds_up = match (findings.is_empty(), undetermined.is_empty()) {
        (false, _) => Some(false),
        (true, true) => Some(true),
        (true, false) => None,
    };
    if search.tally.foreign > 0 {
        let foreign = search.tally.foreign;
        notes.push(format!(
            "{foreign} documents in the log are not from wahook"
        ));
    }
    if search.broker_state.unreadable > 0 {
        let unreadable = search.broker_state.unreadable;
        notes.push(format!(
            "{unreadable} dead letters have no event id or endpoint; see `dead list`"
        ));
    }
    let SearchOptions {
        max_hold, grace, ..
    } = search.options;
    if !findings.is_empty() && grace < max_hold {
        notes.push(format!(
            "a consumer may hold a message for {max_hold:?}, longer than --grace: \
             missing messages may be there"
        ));
    }
    let total = search.tally.total();
    let endpoints = search.tally.endpoints.iter().map(|(endpoint, counts)| Row {
        endpoint: endpoint.to_string(),
        counts: *counts,
    });
    Ok(Report {
        adds_up,
        scope,
        total,
        endpoints: endpoints.collect(),
        queues: queue_rows(search).await?,
        findings: findings.into_iter().map(Finding::new).collect(),
        undetermined: undetermined.into_iter().map(Finding::new).collect(),
        notes,
    })
}

async fn queue_rows(search: &Search<'_>) -> anyhow::Result<Vec<QueueRow>> {
    let mut rows = Vec::new();
    for (endpoint, depth) in queues(search).await? {
        rows.push(QueueRow::new(work_queue(&endpoint), depth));
    }
    let waits = search.tally.wait_queues.iter().copied().map(wait_queue);
    let others = [DEAD_QUEUE.to_owned(), RESULTS_QUEUE.to_owned()];
    for queue in waits.chain(others) {
        if let Some(depth) = search.inspector.depth(&queue).await? {
            rows.push(QueueRow::new(queue, depth));
        }
    }
    Ok(rows)
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
