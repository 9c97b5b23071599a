//! Accounts for the selected deliveries, and builds the report.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;
use wahook_domain::{EndpointName, EventId, UnixMillis};
use wahook_queue::{
    Depth,
    topology::{DEAD_QUEUE, RESULTS_QUEUE, wait_queue, work_queue},
};
use wahook_runtime::clock;

use super::{
    report::{self, Finding, QueueRow, Report, Row, Scope},
    search::{Search, SearchOptions},
};

/// Safety margin: the log removes a record up to a minute after it expires.
const REMOVAL_MARGIN: Duration = Duration::from_secs(5 * 60);

/// Deliveries to account for.
pub(super) enum Selection {
    Window(UnixMillis, UnixMillis),
    Ids(BTreeSet<EventId>),
}

pub(super) async fn search_and_report(
    mut search: Search<'_>,
    selection: Selection,
) -> anyhow::Result<Report> {
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

async fn queues(search: &Search<'_>) -> anyhow::Result<Vec<(EndpointName, Depth)>> {
    let mut queues = Vec::new();
    for (endpoint, _) in search.watched() {
        if let Some(depth) = search.inspector.endpoint_depth(endpoint).await? {
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
