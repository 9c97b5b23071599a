//! `wahook-consumer verify`: whether everything that was accepted is somewhere.

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
use wahook_delivery_log::MongoLog;
use wahook_domain::{EndpointName, EventId, UnixMillis};
use wahook_queue::{
    BrokerUri, Inspector,
    topology::{DEAD_QUEUE, RESULTS_QUEUE, work_queue},
};
use wahook_runtime::{Age, Moment, Settings, Shutdown, clock};

use crate::{endpoint_set::PREFETCH_FACTOR, settings::LogSettings};
use report::{Finding, QueueRow, Report, Row, Scope};
use search::{Question, Search};

/// What a message takes beside requests: its retry's confirm, and the log.
const BESIDE_REQUESTS: Duration = Duration::from_secs(15);
/// Where nothing else is said.
const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// The log removes a record up to a minute after its time.
const AROUND_REMOVAL: Duration = Duration::from_secs(5 * 60);

/// What is to add up.
#[derive(Debug, Args)]
pub struct ReconcileArguments {
    /// Events accepted since: 90s, 30m, 2h or 7d ago, or a moment such as 2026-01-31T12:00:00Z [default: 24h]
    #[arg(long, value_name = "TIME", conflicts_with = "accepted")]
    since: Option<Moment>,
    /// Events accepted before [default: now]
    #[arg(long, value_name = "TIME", conflicts_with = "accepted")]
    until: Option<Moment>,
    /// The ids that were answered 202, one a line, `-` for standard input: each must be somewhere
    #[arg(long, value_name = "FILE")]
    accepted: Option<PathBuf>,
    /// At this endpoint (may be repeated); with --accepted each id must be at each of them [default: at whichever it is]
    #[arg(long, value_name = "NAME")]
    endpoint: Vec<EndpointName>,
    /// Letters were discarded on purpose: do not miss them
    #[arg(long)]
    discarded: bool,
    /// How long what does not add up may take to settle; at least as long as a consumer may have a message at hand: 8 times the longest timeout of an endpoint, or its rate limit's interval if that is longer, and 15s [default: 8 times WEBHOOK_TIMEOUT, and 15s]
    #[arg(long, value_name = "TIME")]
    grace: Option<Age>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What the command needs to know of the surroundings.
#[derive(Debug)]
pub struct ReconcileSettings {
    broker: BrokerUri,
    log: LogSettings,
    webhook_timeout: Duration,
}

impl ReconcileSettings {
    /// Reads it; faults are noted in `settings`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let broker =
            settings.required_parsed("AMQP_URL", "the broker's address", BrokerUri::EXAMPLE);
        let log = LogSettings::read(settings);
        let timeout = settings.in_range("WEBHOOK_TIMEOUT", 30_000, 100..=300_000, "30000");
        Some(Self {
            broker: broker?,
            log,
            webhook_timeout: Duration::from_millis(timeout),
        })
    }
}

/// Says whether everything adds up.
///
/// # Errors
/// When that can't be told: the broker or the log is away, or what is missing
/// may wait in a queue that can't be read.
pub async fn run(
    arguments: ReconcileArguments,
    settings: ReconcileSettings,
    shutdown: Shutdown,
) -> anyhow::Result<bool> {
    let verified = verify(arguments, settings, &shutdown).await;
    verified.context("can't tell whether it adds up")
}

async fn verify(
    arguments: ReconcileArguments,
    settings: ReconcileSettings,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    let scope = Scoped::of(&arguments)?;
    let log = MongoLog::connect(&settings.log.uri, &settings.log.database).await?;
    log.ping().await?;
    let inspector = Inspector::open(&settings.broker, "wahook-consumer verify").await?;
    let at_hand = settings.webhook_timeout * PREFETCH_FACTOR.into() + BESIDE_REQUESTS;
    let question = Question {
        endpoints: arguments.endpoint.iter().cloned().collect(),
        at_hand,
        grace: arguments.grace.map_or(at_hand, Age::get),
        letters_discarded: arguments.discarded,
    };
    let search = Search::new(question, &log, &inspector, shutdown, progress());
    let report = search_and_report(search, scope).await;
    inspector.close().await;
    let report = report?;
    let text = if arguments.json {
        serde_json::to_string(&report)?
    } else {
        report.to_string()
    };
    writeln!(stdout(), "{text}")?;
    (report.adds_up).with_context(|| format!("{} deliveries are untold", report.untold.len()))
}

/// What is to be accounted for.
enum Scoped {
    Window(UnixMillis, UnixMillis),
    Ids(BTreeSet<EventId>),
}

impl Scoped {
    fn of(arguments: &ReconcileArguments) -> anyhow::Result<Self> {
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

async fn search_and_report(mut search: Search<'_>, scope: Scoped) -> anyhow::Result<Report> {
    let mut notes = Vec::new();
    let scope = match scope {
        Scoped::Ids(ids) => {
            search.go_through_ids(&ids).await?;
            search.settle().await?;
            Scope::Ids {
                accepted: ids.len(),
            }
        }
        Scoped::Window(asked, until) => {
            let since = still_kept(&search, asked).await?;
            if since != asked {
                notes.push(format!(
                    "the log keeps nothing from before {}",
                    since.to_iso8601()
                ));
            }
            search.go_through(since, until).await?;
            search.settle().await?;
            for (endpoint, depth) in queues(&search).await? {
                search.tally.add_unread(&endpoint, depth.messages);
            }
            report::window(since, until)
        }
    };
    search.bar.finish_and_clear();
    report(&search, scope, notes).await
}

/// The beginning of the window, or of what the log has not removed yet.
async fn still_kept(search: &Search<'_>, since: UnixMillis) -> anyhow::Result<UnixMillis> {
    let lifetime = search.log.lifetime().await?;
    let kept = lifetime.map(|lifetime| {
        let sure = lifetime.saturating_sub(AROUND_REMOVAL);
        clock::now().minus(sure)
    });
    Ok(kept.map_or(since, |kept| since.max(kept)))
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
    let (findings, untold): (Vec<_>, Vec<_>) = search
        .cases
        .iter()
        .partition(|case| search.is_finding(case, now));
    let adds_up = match (findings.is_empty(), untold.is_empty()) {
        (false, _) => Some(false),
        (true, true) => Some(true),
        (true, false) => None,
    };
    if search.tally.foreign > 0 {
        let foreign = search.tally.foreign;
        notes.push(format!(
            "{foreign} documents of the log are none of wahook's"
        ));
    }
    if search.evidence.unreadable > 0 {
        let unreadable = search.evidence.unreadable;
        notes.push(format!(
            "{unreadable} letters do not say whose they are (`dead list`)"
        ));
    }
    let Question { at_hand, grace, .. } = search.question;
    if !findings.is_empty() && grace < at_hand {
        notes.push(format!(
            "a consumer may have a message at hand for {at_hand:?}, longer than --grace: \
             what is missing may be there"
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
        findings: findings.into_iter().map(Finding::of).collect(),
        untold: untold.into_iter().map(Finding::of).collect(),
        notes,
    })
}

async fn queue_rows(search: &Search<'_>) -> anyhow::Result<Vec<QueueRow>> {
    let mut rows = Vec::new();
    for (endpoint, depth) in queues(search).await? {
        rows.push(QueueRow::new(work_queue(&endpoint), depth));
    }
    let waits = search.tally.wait_queues.keys();
    let waits = waits.map(|wait_ms| format!("wahook.wait.{wait_ms}"));
    let others = [DEAD_QUEUE.to_owned(), RESULTS_QUEUE.to_owned()];
    for queue in waits.chain(others) {
        if let Some(depth) = search.inspector.depth(&queue).await? {
            rows.push(QueueRow::new(queue, depth));
        }
    }
    Ok(rows)
}

/// Shown on a terminal only.
fn progress() -> ProgressBar {
    const TEMPLATE: &str = "{spinner} {pos} looked at, {per_sec} {msg}";
    let bar = ProgressBar::new_spinner();
    // The template is ours and right; a wrong one would leave the plain spinner.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar
}
