//! Output of `endpoints list`.

use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufWriter, Write, stdout},
};
use wahook_domain::EndpointName;
use wahook_queue::{Broker, DeadLetters, EndpointQueues, QueueMessagesError};

use super::survey::Survey;

/// Prints a line for each endpoint that is configured or known, or has dead letters.
pub(super) async fn list(
    queues: &EndpointQueues,
    configured: Option<BTreeSet<EndpointName>>,
    broker: &Broker,
    json: bool,
) -> anyhow::Result<()> {
    let dead_letters = count_dead_letters(broker).await?;
    let of_dead_letters = dead_letters.keys().cloned().collect();
    let survey = Survey::read(queues, configured, of_dead_letters).await?;
    let rows = rows(&survey, &dead_letters);
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
    Ok(out.flush()?)
}

/// Counts the dead letters of each endpoint.
async fn count_dead_letters(broker: &Broker) -> anyhow::Result<BTreeMap<EndpointName, u32>> {
    let opened = DeadLetters::open(broker, "wahook-consumer endpoints").await;
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

fn rows(survey: &Survey, dead_letters: &BTreeMap<EndpointName, u32>) -> Vec<Row> {
    let mut names = survey.endpoints();
    names.extend(dead_letters.keys());
    let rows = names.into_iter().map(|name| {
        let queue = survey.queues.get(name).copied();
        let queue_or_none = queue.unwrap_or_default();
        Row {
            endpoint: name.to_string(),
            configured: survey.is_configured(name),
            queued: queue_or_none.queued,
            waiting: queue_or_none.waiting,
            dead_letters: dead_letters.get(name).copied().unwrap_or_default(),
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
