//! Report of a reconciliation, as text and as JSON.

use serde::Serialize;
use std::fmt;
use wahook_domain::UnixMillis;
use wahook_queue::{Depth, topology::wait_queue};

use super::{classify::Discrepancy, search::UnresolvedDelivery, tally::Counts};

/// Maximum number of printed findings of a kind; JSON contains all.
const SHOWN: usize = 100;

/// Result of a reconciliation.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// True if every delivery is accounted for; `null` if that could not be determined.
    pub(super) adds_up: Option<bool>,
    #[serde(flatten)]
    pub(super) scope: Scope,
    pub(super) total: Counts,
    pub(super) endpoints: Vec<Row>,
    pub(super) queues: Vec<QueueRow>,
    /// Deliveries that are not accounted for.
    pub(super) findings: Vec<Finding>,
    /// Deliveries that may be in a queue with consumers.
    #[serde(rename = "untold")]
    pub(super) undetermined: Vec<Finding>,
    pub(super) notes: Vec<String>,
}

/// Deliveries to account for.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Scope {
    Window { since: String, until: String },
    Ids { accepted: usize },
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) endpoint: String,
    #[serde(flatten)]
    pub(super) counts: Counts,
}

#[derive(Debug, Serialize)]
pub(super) struct QueueRow {
    pub(super) queue: String,
    pub(super) messages: u32,
    pub(super) consumers: u32,
}

impl QueueRow {
    pub(super) fn new(queue: String, depth: Depth) -> Self {
        Self {
            queue,
            messages: depth.messages,
            consumers: depth.consumers,
        }
    }
}

/// Delivery that is not accounted for.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    kind: &'static str,
    id: String,
    endpoint: Option<String>,
    detail: String,
}

impl Finding {
    pub(super) fn new(delivery: &UnresolvedDelivery) -> Self {
        let (kind, detail) = in_words(&delivery.discrepancy);
        Self {
            kind,
            id: delivery.id.to_string(),
            endpoint: delivery.endpoint.as_ref().map(ToString::to_string),
            detail,
        }
    }

    fn name(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("{}/{endpoint}", self.id),
            None => self.id.clone(),
        }
    }
}

fn in_words(discrepancy: &Discrepancy) -> (&'static str, String) {
    match discrepancy {
        Discrepancy::Missing => (
            "lost",
            "accepted, but without a record and in no queue".to_owned(),
        ),
        Discrepancy::RecordMissing => (
            "record-missing",
            "in wahook.dead, but without a record in the log".to_owned(),
        ),
        Discrepancy::DeadLetterMissing => (
            "letter-missing",
            "failed, but neither in wahook.dead nor redriven".to_owned(),
        ),
        Discrepancy::RetryOverdue { due } => (
            "retry-missing",
            format!("no message for the attempt due at {}", due.to_iso8601()),
        ),
        Discrepancy::WaitQueueShort { wait } => {
            let queue = wait_queue(*wait);
            (
                "wait-short",
                format!("{queue} holds fewer messages than deliveries waiting in it"),
            )
        }
    }
}

fn what_to_do(kind: &str) -> &'static str {
    match kind {
        "lost" => {
            "send these events again with the same ids, except those that the endpoints filter \
             by source, session or chat"
        }
        "record-missing" => {
            "check whether the record was removed or a consumer logged \"rejected this result\"; \
             `dead show` prints the event"
        }
        "letter-missing" => {
            "if the dead letters were discarded on purpose, use --discarded; \
             otherwise send these events again with the same ids"
        }
        "retry-missing" => {
            "the messages are in no queue: send these events again with the same ids"
        }
        _ => {
            "some of these are lost: repeat the command after the retries were due \
             to find which"
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Window { since, until } => writeln!(f, "accepted from {since} to {until}\n")?,
            Scope::Ids { accepted } => writeln!(f, "{accepted} accepted ids\n")?,
        }
        self.fmt_deliveries(f)?;
        writeln!(f, "\n{:<48} {:>9} {:>9}", "QUEUE", "MESSAGES", "CONSUMERS")?;
        for queue in &self.queues {
            let (messages, consumers) = (queue.messages, queue.consumers);
            writeln!(f, "{:<48} {messages:>9} {consumers:>9}", queue.queue)?;
        }
        writeln!(f)?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        fmt_findings(f, &self.findings)?;
        for finding in self.undetermined.iter().take(SHOWN) {
            writeln!(f, "undetermined  {}  {}", finding.name(), finding.detail)?;
        }
        let Counts {
            delivered,
            failed,
            retrying,
            queued,
            ..
        } = self.total;
        writeln!(
            f,
            "{} = {delivered} delivered + {failed} failed + {retrying} retrying + {queued} queued",
            self.total.sum()
        )?;
        match (self.findings.len(), self.undetermined.len()) {
            (0, 0) => write!(f, "all deliveries are accounted for"),
            (0, undetermined) => write!(
                f,
                "{undetermined} could not be determined: they may be in a queue that has \
                 consumers or was inspected too often; repeat the command when it is shorter"
            ),
            (missing, 0) => write!(f, "{missing} not accounted for"),
            (missing, undetermined) => write!(
                f,
                "{missing} not accounted for, {undetermined} could not be determined"
            ),
        }
    }
}

impl Report {
    fn fmt_deliveries(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<32} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "ENDPOINT", "TOTAL", "DELIVERED", "FAILED", "RETRYING", "QUEUED"
        )?;
        for Row { endpoint, counts } in &self.endpoints {
            let Counts {
                delivered,
                failed,
                retrying,
                queued,
                ..
            } = counts;
            writeln!(
                f,
                "{endpoint:<32} {:>9} {delivered:>9} {failed:>9} {retrying:>9} {queued:>9}",
                counts.sum(),
            )?;
        }
        Ok(())
    }
}

/// Writes the findings by kind, each with the action to take.
fn fmt_findings(f: &mut fmt::Formatter<'_>, findings: &[Finding]) -> fmt::Result {
    const KINDS: [&str; 5] = [
        "lost",
        "retry-missing",
        "letter-missing",
        "record-missing",
        "wait-short",
    ];
    for kind in KINDS {
        let of_kind = || findings.iter().filter(|finding| finding.kind == kind);
        for finding in of_kind().take(SHOWN) {
            writeln!(f, "{kind}  {}  {}", finding.name(), finding.detail)?;
        }
        match of_kind().count() {
            0 => {}
            count if count > SHOWN => writeln!(
                f,
                "{kind}  and {} more (--json has all)\n  what to do: {}\n",
                count - SHOWN,
                what_to_do(kind)
            )?,
            _ => writeln!(f, "  what to do: {}\n", what_to_do(kind))?,
        }
    }
    Ok(())
}

/// Scope of a time window.
pub(super) fn window(since: UnixMillis, until: UnixMillis) -> Scope {
    Scope::Window {
        since: since.to_iso8601(),
        until: until.to_iso8601(),
    }
}
