//! Numbers of a job that sends deliveries again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::task::JoinError;
use wahook_operator_state::Progress;

use crate::resend::Unsent;

/// Redelivery that the broker has, or the reason why it was not sent.
pub(super) type Sent = Result<(), Unsent>;

/// Numbers of redeliveries, in their order: all up to their sum are done or failed.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) done: u64,
    pub(super) failed: u64,
    notes: Notes,
    /// Error by which the next would fail too.
    pub(super) broken: Option<anyhow::Error>,
}

/// Notes of the progress, in the store.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Notes {
    /// See [`Tally::begun`].
    #[serde(default)]
    begun: u64,
    /// Reasons, with their numbers.
    #[serde(flatten)]
    unsent: BTreeMap<Unsent, u64>,
}

impl From<&Progress> for Tally {
    fn from(progress: &Progress) -> Self {
        Self {
            done: progress.done,
            failed: progress.failed,
            notes: serde_json::from_str(&progress.notes).unwrap_or_default(),
            broken: None,
        }
    }
}

impl Tally {
    /// Counts the next redelivery. After an error none counts: their order would be broken.
    pub(super) fn count(&mut self, ended: Result<anyhow::Result<Sent>, JoinError>) {
        if self.broken.is_some() {
            return;
        }
        match ended {
            Ok(Ok(Ok(()))) => self.done = self.done.saturating_add(1),
            Ok(Ok(Err(unsent))) => {
                self.failed = self.failed.saturating_add(1);
                let all = self.notes.unsent.entry(unsent).or_default();
                *all = all.saturating_add(1);
            }
            Ok(Err(error)) => self.broken = Some(error),
            Err(error) => self.broken = Some(error.into()),
        }
    }

    pub(super) const fn position(&self) -> u64 {
        self.done.saturating_add(self.failed)
    }

    /// Returns the end of the deliveries that may be sent and not counted.
    pub(super) const fn begun(&self) -> u64 {
        self.notes.begun
    }

    /// Notes that the deliveries up to this one may be sent.
    pub(super) fn begin(&mut self, end: u64) {
        self.notes.begun = self.notes.begun.max(end);
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            done: self.done,
            failed: self.failed,
            // Numbers by name always have a JSON form.
            notes: serde_json::to_string(&self.notes).unwrap_or_default(),
        }
    }

    /// Returns the reasons, with their numbers.
    pub(super) fn text(&self) -> String {
        let reasons = self.notes.unsent.iter();
        let reasons = reasons.map(|(unsent, number)| format!("{number} not sent: {unsent}"));
        reasons.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_back_and_stops_at_the_first_error() {
        let mut tally = Tally::default();
        tally.count(Ok(Ok(Ok(()))));
        tally.count(Ok(Ok(Err(Unsent::NotLogged))));
        tally.count(Ok(Err(anyhow::anyhow!("no connection"))));
        tally.count(Ok(Ok(Ok(()))));
        tally.begin(7);
        tally.begin(5);
        let again = Tally::from(&tally.progress());
        assert_eq!(again.begun(), 7);
        assert_eq!((again.done, again.failed, again.position()), (1, 1, 2));
        assert_eq!(again.text(), tally.text());
        assert!(again.text().starts_with("1 not sent: "), "{}", again.text());
    }

    #[test]
    fn notes_of_an_earlier_version_are_read() {
        let notes: Notes = serde_json::from_str(r#"{"notLogged":3}"#).unwrap();
        assert_eq!(
            (notes.begun, notes.unsent.get(&Unsent::NotLogged)),
            (0, Some(&3))
        );
    }
}
