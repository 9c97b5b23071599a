//! Summary of a redrive or removal of dead letters (pure).

use std::fmt;
use wahook_queue::PublishError;

/// Result of an action on one dead letter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ActionResult {
    Done,
    Undecodable,
    NoEndpoint,
    /// The redrives of an interrupted sweep are unknown.
    Unchecked,
    NotPublished(PublishError),
    /// The dead letter could not be removed. A redriven event is published already.
    NotRemoved,
}

/// Summary of a sweep, printed as one sentence.
#[derive(Debug, Default)]
pub struct Report {
    /// Past participle of the action.
    pub verb: &'static str,
    dry_run: bool,
    /// Text for dead letters that could not be removed.
    not_removed_text: &'static str,
    /// Dead letters that were read.
    pub inspected: u32,
    /// Dead letters to which the action was applied.
    pub done: u32,
    undecodable: u32,
    no_endpoint: u32,
    no_queue: u32,
    unchecked: u32,
    not_published: u32,
    not_removed: u32,
    /// True if the sweep was stopped early.
    pub(super) interrupted: bool,
}

impl Report {
    pub(super) fn of_redrive(dry_run: bool) -> Self {
        Self {
            verb: "redriven",
            not_removed_text: "redriven but not removed: the connection was lost",
            dry_run,
            ..Self::default()
        }
    }

    pub(super) fn of_discard(dry_run: bool) -> Self {
        Self {
            verb: "discarded",
            not_removed_text: "kept: the connection was lost",
            dry_run,
            ..Self::default()
        }
    }

    pub(super) fn record(&mut self, result: ActionResult) {
        match result {
            ActionResult::Done => self.done += 1,
            ActionResult::Undecodable => self.undecodable += 1,
            ActionResult::NoEndpoint => self.no_endpoint += 1,
            ActionResult::Unchecked => self.unchecked += 1,
            ActionResult::NotPublished(PublishError::Unroutable) => self.no_queue += 1,
            ActionResult::NotPublished(_) => self.not_published += 1,
            ActionResult::NotRemoved => self.not_removed += 1,
        }
    }

    /// Returns the number of selected dead letters that are kept.
    #[must_use]
    pub fn failed(&self) -> u32 {
        self.undecodable
            + self.no_endpoint
            + self.no_queue
            + self.unchecked
            + self.not_published
            + self.not_removed
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let would_be = if self.dry_run { "would be " } else { "" };
        write!(
            f,
            "{} of {} dead letters {would_be}{}",
            self.done, self.inspected, self.verb
        )?;
        for (count, what) in [
            (self.undecodable, "undecodable, kept"),
            (self.no_endpoint, "of an unknown endpoint, kept"),
            (
                self.no_queue,
                "of an endpoint that has no queue (its consumer creates it at start), kept",
            ),
            (
                self.unchecked,
                "kept: the log or the queue can't show if they are redriven already",
            ),
            (self.not_published, "not confirmed by the broker, kept"),
            (self.not_removed, self.not_removed_text),
        ] {
            if count > 0 {
                write!(f, "; {count} {what}")?;
            }
        }
        if self.interrupted {
            f.write_str("; interrupted, the rest is kept")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_removal_is_reported_with_the_verb_of_the_command() {
        for (mut report, verb) in [
            (Report::of_redrive(true), "redriven"),
            (Report::of_discard(false), "discarded"),
        ] {
            report.inspected = 2;
            report.record(ActionResult::Done);
            report.record(ActionResult::NotRemoved);
            let text = report.to_string();
            assert!(text.contains(verb), "{text}");
            assert_eq!(text.contains("redriven"), verb == "redriven", "{text}");
            assert!(text.contains("; 1 "), "{text}");
            assert_eq!(report.failed(), 1);
        }
    }
}
