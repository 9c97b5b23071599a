//! Erasure of a person's data: records of the log, and dead letters.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;
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

/// Time to wait for the end of an automatic redrive, which hides the dead letters that it has
/// read.
const WAITS: u32 = 20;
const WAIT: Duration = Duration::from_millis(500);

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
    /// Records of the log whose delivery is concluded.
    pub records: u64,
    /// Dead letters, which are removed.
    pub dead_letters: u64,
    /// Deliveries that are not concluded. Their events stay in queues, and their records whole.
    pub retrying: u64,
    /// An automatic redrive has dead letters, which are not seen.
    pub is_partial: bool,
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
            is_partial,
        } = self;
        let mut text = format!("{records} records and {dead_letters} dead letters {verb}");
        if retrying > 0 {
            text.push_str(&format!(
                "; {retrying} deliveries are not concluded, and their records are kept: repeat the \
                 command when they are"
            ));
        }
        if is_partial {
            text.push_str(
                "; an automatic redrive has dead letters, which are not seen: repeat the command \
                 when it has ended",
            );
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
            records: found.concluded,
            retrying: found.retrying,
            dead_letters: self.sweep(Action::DryDiscard).await?.done.into(),
            is_partial: false,
        })
    }

    /// Erases all that is not in delivery, unless a shutdown interrupts it. Repeatable.
    ///
    /// # Errors
    /// If log or broker can't be reached, or a dead letter was not removed.
    pub async fn run(&self) -> anyhow::Result<Erased> {
        let lock = self.lock_out_redrives().await?;
        // First, because they could be sent and recorded again.
        let swept = self.sweep(Action::Discard).await;
        let is_partial = lock.is_none();
        if let Some(lock) = lock {
            lock.close().await;
        }
        let report = swept?;
        ensure!(report.failed() == 0, "{report}");
        let mut records: u64 = 0;
        while !self.shutdown.is_soft() {
            match self.eraser.erase(self.person.chats()).await? {
                0 => break,
                some => records = records.saturating_add(some),
            }
        }
        let left = self.eraser.count(self.person.chats()).await?;
        Ok(Erased {
            records,
            retrying: left.retrying,
            dead_letters: report.done.into(),
            is_partial,
        })
    }

    /// Waits for the turn of an automatic redrive to end, and prevents the next one until the
    /// lock is closed. Returns `None` after a time limit.
    async fn lock_out_redrives(&self) -> anyhow::Result<Option<DeadLetters>> {
        for _ in 0..WAITS {
            let lock = DeadLetters::open_for_auto_redrive(self.broker, CONNECTION).await?;
            if lock.is_some() || self.shutdown.is_soft() {
                return Ok(lock);
            }
            sleep(WAIT).await;
        }
        Ok(None)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_says_what_is_left_and_when_to_repeat() {
        let mut erased = Erased {
            records: 2,
            dead_letters: 1,
            ..Erased::default()
        };
        let text = "2 records and 1 dead letters erased";
        assert_eq!(erased.text("erased"), text);
        (erased.retrying, erased.is_partial) = (3, true);
        let text = erased.text("erased");
        assert!(text.contains("3 deliveries are not concluded"), "{text}");
        assert!(text.contains("automatic redrive"), "{text}");
        assert_eq!(text.matches("repeat the command").count(), 2, "{text}");
    }
}
