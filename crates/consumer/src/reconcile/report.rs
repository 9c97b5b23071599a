//! What the search has found, for people and for programs.

use serde::Serialize;
use std::fmt;
use wahook_domain::UnixMillis;
use wahook_queue::Depth;

use super::{classify::Suspicion, search::Suspect, tally::Counts};

/// Findings that are printed for people; a program gets all.
const SHOWN: usize = 100;

/// The outcome.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Whether every delivery is accounted for; `null` where that can't be told.
    pub(super) adds_up: Option<bool>,
    #[serde(flatten)]
    pub(super) scope: Scope,
    pub(super) total: Counts,
    pub(super) endpoints: Vec<Row>,
    pub(super) queues: Vec<QueueRow>,
    /// What does not add up.
    pub(super) findings: Vec<Finding>,
    /// What can't be told: it may wait in a queue that consumers are working on.
    pub(super) untold: Vec<Finding>,
    pub(super) notes: Vec<String>,
}

/// What was to be accounted for.
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

/// A delivery that does not add up.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    kind: &'static str,
    id: String,
    endpoint: Option<String>,
    detail: String,
}

impl Finding {
    pub(super) fn of(case: &Suspect) -> Self {
        let (kind, detail) = in_words(&case.doubt);
        Self {
            kind,
            id: case.id.to_string(),
            endpoint: case.endpoint.as_ref().map(ToString::to_string),
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

fn in_words(doubt: &Suspicion) -> (&'static str, String) {
    match doubt {
        Suspicion::Nowhere => (
            "lost",
            "accepted, but it has no record and is in no queue".to_owned(),
        ),
        Suspicion::NoRecord => (
            "record-missing",
            "in wahook.dead, but the log has no record of it".to_owned(),
        ),
        Suspicion::NoLetter => (
            "letter-missing",
            "failed, but it is neither in wahook.dead nor redriven".to_owned(),
        ),
        Suspicion::Overdue { due } => (
            "retry-missing",
            format!("its next attempt was due at {}", due.to_iso8601()),
        ),
        Suspicion::Short { wait_ms } => (
            "wait-short",
            format!("wahook.wait.{wait_ms} holds fewer messages than deliveries wait in it"),
        ),
    }
}

fn what_to_do(kind: &str) -> &'static str {
    match kind {
        "lost" => "send these events again, with the same ids",
        "record-missing" => {
            "was the record removed, or did a consumer log \"refuses this result\"? \
             `dead show` has the event"
        }
        "letter-missing" => {
            "if their letters were discarded on purpose, say --discarded; \
             else send these events again, with the same ids"
        }
        "retry-missing" => {
            "their messages are in no queue: send these events again, with the same ids"
        }
        _ => {
            "some of these are lost, and which is known when their time has come: \
             repeat this then"
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
        for finding in self.untold.iter().take(SHOWN) {
            writeln!(f, "not told  {}  {}", finding.name(), finding.detail)?;
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
        match (self.findings.len(), self.untold.len()) {
            (0, 0) => write!(f, "it adds up"),
            (0, untold) => write!(
                f,
                "{untold} can't be told: they may wait in a queue that consumers are working on, \
                 or that was looked at too often; repeat this when it is shorter"
            ),
            (wrong, 0) => write!(f, "{wrong} do not add up"),
            (wrong, untold) => write!(f, "{wrong} do not add up, {untold} can't be told"),
        }
    }
}

impl Report {
    fn fmt_deliveries(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<32} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "ENDPOINT", "TOGETHER", "DELIVERED", "FAILED", "RETRYING", "QUEUED"
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

/// By kind, each with what to do.
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

/// The window in words.
pub(super) fn window(since: UnixMillis, until: UnixMillis) -> Scope {
    Scope::Window {
        since: since.to_iso8601(),
        until: until.to_iso8601(),
    }
}
