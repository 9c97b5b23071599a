//! Output of `endpoints list`.

use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{BufWriter, Write, stderr, stdout},
};
use wahook_domain::EndpointName;
use wahook_operator_state::Pause;
use wahook_queue::{Broker, DeadLetters, EndpointQueues, QueueMessagesError};

use super::{
    orders,
    sources::{CONNECTION, OpenOperatorState, Sources},
    survey::Survey,
};

/// Prints a line for each endpoint that is configured or known, has dead letters or is paused.
pub(super) async fn list(sources: Sources, json: bool) -> anyhow::Result<()> {
    let dead_letters = count_dead_letters(&sources.broker).await?;
    let pauses = pauses(sources.operator).await?;
    let named = dead_letters.keys().chain(pauses.keys()).cloned().collect();
    let queues = EndpointQueues::open(&sources.broker, CONNECTION).await?;
    let survey = Survey::read(&queues, sources.configured, named).await;
    queues.close().await;
    let rows = rows(&survey?, &dead_letters, &pauses);
    let mut out = BufWriter::new(stdout().lock());
    if json {
        for row in &rows {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        return Ok(out.flush()?);
    }
    writeln!(out, "{}", Row::HEADINGS)?;
    for row in &rows {
        writeln!(out, "{}", row.line())?;
    }
    for row in rows.iter().filter(|row| row.is_stranded()) {
        writeln!(
            out,
            "{0} is not configured, so its events are not delivered: configure it again, or \
             `endpoints move {0} NEW`, or `endpoints drop {0}`",
            row.endpoint
        )?;
    }
    for (endpoint, pause) in &pauses {
        writeln!(
            out,
            "{endpoint} is paused {pause}; `endpoints resume {endpoint}` ends the pause"
        )?;
    }
    Ok(out.flush()?)
}

/// Returns the pauses of operators. Without the log the rest is listed nevertheless.
async fn pauses(operator: OpenOperatorState) -> anyhow::Result<BTreeMap<EndpointName, Pause>> {
    match orders::states(operator).await {
        Ok(states) => {
            let paused = states.into_iter();
            let paused = paused.filter_map(|state| Some((state.endpoint, state.pause?)));
            Ok(paused.collect())
        }
        Err(error) => {
            writeln!(
                stderr(),
                "pauses of operators are not shown, since the log can't be read: {error:#}"
            )?;
            Ok(BTreeMap::new())
        }
    }
}

/// Counts the dead letters of each endpoint.
async fn count_dead_letters(broker: &Broker) -> anyhow::Result<BTreeMap<EndpointName, u32>> {
    let opened = DeadLetters::open(broker, CONNECTION).await;
    let mut counts = BTreeMap::new();
    let mut letters = match opened {
        Err(QueueMessagesError::NoQueue(_)) => return Ok(counts),
        letters => letters?,
    };
    let bar = crate::dead::progress(letters.left());
    while let Some((letter, _)) = letters.next().await? {
        bar.inc(1);
        if let Some(endpoint) = letter.endpoint {
            *counts.entry(endpoint).or_default() += 1;
        }
    }
    bar.finish_and_clear();
    letters.close().await;
    Ok(counts)
}

fn rows(
    survey: &Survey,
    dead_letters: &BTreeMap<EndpointName, u32>,
    pauses: &BTreeMap<EndpointName, Pause>,
) -> Vec<Row> {
    let mut names = survey.endpoints();
    names.extend(dead_letters.keys());
    names.extend(pauses.keys());
    let rows = names.into_iter().map(|name| {
        let queue = survey.queues.get(name).copied();
        let queue_or_none = queue.unwrap_or_default();
        Row {
            endpoint: name.to_string(),
            configured: survey.is_configured(name),
            queued: queue_or_none.queued,
            waiting: queue_or_none.waiting,
            dead_letters: dead_letters.get(name).copied().unwrap_or_default(),
            paused: pauses.get(name).map(ShownPause::of),
        }
    });
    rows.collect()
}

/// Row of the list.
#[derive(Serialize)]
struct Row {
    endpoint: String,
    configured: bool,
    queued: u32,
    /// Messages that wait for a retry, where known.
    waiting: Option<u32>,
    dead_letters: u32,
    /// Pause of an operator.
    paused: Option<ShownPause>,
}

/// Pause of an operator, with its time as text.
#[derive(Serialize)]
struct ShownPause {
    by: String,
    since: String,
    reason: Option<String>,
}

impl ShownPause {
    fn of(pause: &Pause) -> Self {
        Self {
            by: pause.by.clone(),
            since: pause.since.to_iso8601(),
            reason: pause.reason.as_ref().map(ToString::to_string),
        }
    }
}

impl Row {
    const HEADINGS: &str =
        "ENDPOINT                          CONFIGURED  QUEUED    WAITING   DEAD LETTERS";

    fn is_stranded(&self) -> bool {
        !self.configured && self.queued + self.waiting.unwrap_or_default() > 0
    }

    fn line(&self) -> String {
        let configured = if self.configured { "yes" } else { "no" };
        let waiting = self.waiting.map_or("?".to_owned(), |n| n.to_string());
        format!(
            "{:<32}  {configured:<10}  {:<8}  {waiting:<8}  {}",
            self.endpoint, self.queued, self.dead_letters
        )
    }
}
