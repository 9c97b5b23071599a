//! Erasure of a person's data: records of the log, and dead letters.

use anyhow::ensure;
use wahook_delivery_log::LogEraser;
use wahook_queue::{Broker, DeadLetter, DeadLetters};
use wahook_runtime::Shutdown;

use super::Person;
use crate::dead::{
    Report,
    sweep::{Action, Sweep},
};

/// Name of the connection to the broker.
const CONNECTION: &str = "wahook erase";

/// Erasure of one person's data.
pub struct Erasure<'a> {
    pub person: &'a Person,
    pub eraser: &'a dyn LogEraser,
    pub broker: &'a Broker,
    pub shutdown: &'a Shutdown,
}

/// Numbers of an erasure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Records of the log.
    pub records: u64,
    /// Dead letters, which are removed.
    pub dead_letters: u64,
    /// Deliveries that are not concluded. Their events are in queues and stay there.
    pub retrying: u64,
}

impl Erased {
    /// Returns the number of objects that are erased.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.records.saturating_add(self.dead_letters)
    }

    /// Returns the summary, for people.
    #[must_use]
    pub fn text(self, verb: &str) -> String {
        let Self {
            records,
            dead_letters,
            retrying,
        } = self;
        let mut text = format!("{records} records and {dead_letters} dead letters {verb}");
        if retrying > 0 {
            text.push_str(&format!(
                "; {retrying} deliveries are not concluded, their events are still queued: repeat \
                 the command when they are"
            ));
        }
        text
    }
}

impl Erasure<'_> {
    /// Counts what would be erased.
    ///
    /// # Errors
    /// If log or broker can't be reached.
    pub async fn count(&self) -> anyhow::Result<Erased> {
        let found = self.eraser.count(self.person.chats()).await?;
        Ok(Erased {
            records: found.records,
            retrying: found.retrying,
            dead_letters: self.sweep(Action::DryDiscard).await?.done.into(),
        })
    }

    /// Erases all, unless a shutdown interrupts it. Repeatable. `retrying` is the number of
    /// deliveries that were counted before.
    ///
    /// # Errors
    /// If log or broker can't be reached, or a dead letter was not removed.
    pub async fn run(&self, retrying: u64) -> anyhow::Result<Erased> {
        // First, because they could be sent and recorded again.
        let report = self.sweep(Action::Discard).await?;
        ensure!(report.failed() == 0, "{report}");
        let mut records: u64 = 0;
        while !self.shutdown.is_soft() {
            match self.eraser.erase(self.person.chats()).await? {
                0 => break,
                some => records = records.saturating_add(some),
            }
        }
        Ok(Erased {
            records,
            retrying,
            dead_letters: report.done.into(),
        })
    }

    async fn sweep(&self, action: Action) -> anyhow::Result<Report> {
        let mut letters = DeadLetters::open(self.broker, CONNECTION).await?;
        let mut report = action.report();
        let selects = |letter: &DeadLetter| {
            let event = letter.content.as_ref();
            event.is_ok_and(|event| self.person.has(event))
        };
        let sweep = Sweep {
            action,
            limit: None,
            rate: None,
            selects: &selects,
            is_stopped: &|| self.shutdown.is_soft(),
            on_progress: &|_| {},
        };
        let swept = sweep.run(&mut letters, &mut report).await;
        letters.close().await;
        swept?;
        Ok(report)
    }
}
