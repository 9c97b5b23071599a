//! Where a delivery is, from what log and broker know of it. Pure.

use wahook_domain::{DeliveryRecord, Status, UnixMillis};

/// What the log says of a delivery, results included that still wait in the
/// broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogStatus {
    Delivered,
    Failed,
    Retrying {
        due: UnixMillis,
        /// How long the wait is, which names the queue.
        wait_ms: i64,
    },
}

impl LogStatus {
    pub(super) fn of(record: &DeliveryRecord) -> Self {
        match (record.status(), record.next_attempt_at(), record.wait_ms()) {
            (Status::Success, ..) => Self::Delivered,
            (Status::Retrying, Some(due), Some(wait_ms)) => Self::Retrying { due, wait_ms },
            _ => Self::Failed,
        }
    }
}

/// What rests in `wahook.dead` of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeadLetterInfo {
    /// Then no attempt need ever have ended, and the log may know nothing.
    pub(super) moved_by_broker: bool,
    /// When the event was accepted, where the letter can be read.
    pub(super) accepted_at: Option<UnixMillis>,
}

/// All that is known of one delivery.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) standing: Option<LogStatus>,
    pub(super) letter: Option<DeadLetterInfo>,
    /// Its message was seen in its work queue.
    pub(super) queued: bool,
}

/// Where a delivery is accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    Delivered,
    Failed,
    Retrying,
    Queued,
}

/// What does not add up at first sight. While the system runs most of it is on
/// its way from one place to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// Neither the log nor the broker shows anything of it.
    Nowhere,
    /// A consumer gave it up, but the log has no record of that.
    NoRecord,
    /// The log says failed, but there is no letter.
    NoLetter,
    /// Its next attempt was due then, and nothing has come of it.
    Overdue { due: UnixMillis },
    /// Its wait queue holds fewer messages than deliveries wait in it.
    Short { wait_ms: i64 },
}

/// Where the delivery is, or what is doubtful. What is due by `soon` is no longer
/// sure to be in its wait queue. `letters_discarded` says that a missing letter
/// was removed on purpose.
pub(super) fn judge(
    known: Facts,
    soon: UnixMillis,
    letters_discarded: bool,
) -> Result<Location, Suspicion> {
    let Facts {
        standing,
        letter,
        queued,
    } = known;
    match (standing, letter) {
        (Some(LogStatus::Delivered), _) => Ok(Location::Delivered),
        (Some(LogStatus::Retrying { due, .. }), _) if queued || due > soon => {
            Ok(Location::Retrying)
        }
        // Redriven, and not attempted yet; or killed before it was recorded.
        (None | Some(LogStatus::Failed), _) if queued => Ok(Location::Queued),
        (Some(_), Some(_)) => Ok(Location::Failed),
        (Some(LogStatus::Failed), None) if letters_discarded => Ok(Location::Failed),
        (Some(LogStatus::Failed), None) => Err(Suspicion::NoLetter),
        (Some(LogStatus::Retrying { due, .. }), None) => Err(Suspicion::Overdue { due }),
        (None, Some(letter)) if letter.moved_by_broker => Ok(Location::Failed),
        (None, Some(_)) => Err(Suspicion::NoRecord),
        (None, None) => Err(Suspicion::Nowhere),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(100_000);
    const LETTER: DeadLetterInfo = DeadLetterInfo {
        moved_by_broker: false,
        accepted_at: None,
    };
    const MOVED: DeadLetterInfo = DeadLetterInfo {
        moved_by_broker: true,
        ..LETTER
    };

    fn retrying(due: i64) -> Option<LogStatus> {
        let (due, wait_ms) = (UnixMillis::new(due), 5_000);
        Some(LogStatus::Retrying { due, wait_ms })
    }

    fn known(standing: Option<LogStatus>, letter: Option<DeadLetterInfo>, queued: bool) -> Facts {
        Facts {
            standing,
            letter,
            queued,
        }
    }

    #[test]
    fn every_combination_has_its_place_or_its_doubt() {
        let (delivered, failed) = (Some(LogStatus::Delivered), Some(LogStatus::Failed));
        let overdue = Suspicion::Overdue {
            due: UnixMillis::new(99_000),
        };
        for (standing, letter, queued, expected) in [
            (delivered, None, false, Ok(Location::Delivered)),
            // Duplicates of what was delivered.
            (delivered, Some(LETTER), false, Ok(Location::Delivered)),
            (delivered, None, true, Ok(Location::Delivered)),
            (failed, Some(LETTER), false, Ok(Location::Failed)),
            (failed, Some(MOVED), false, Ok(Location::Failed)),
            (failed, None, false, Err(Suspicion::NoLetter)),
            (failed, None, true, Ok(Location::Queued)),
            (retrying(101_000), None, false, Ok(Location::Retrying)),
            (
                retrying(101_000),
                Some(LETTER),
                false,
                Ok(Location::Retrying),
            ),
            (retrying(99_000), None, false, Err(overdue)),
            (retrying(99_000), None, true, Ok(Location::Retrying)),
            // It killed its consumers a hundred times.
            (retrying(99_000), Some(MOVED), false, Ok(Location::Failed)),
            (None, Some(MOVED), false, Ok(Location::Failed)),
            (None, Some(LETTER), false, Err(Suspicion::NoRecord)),
            (None, Some(LETTER), true, Ok(Location::Queued)),
            (None, None, true, Ok(Location::Queued)),
            (None, None, false, Err(Suspicion::Nowhere)),
        ] {
            let known = known(standing, letter, queued);
            assert_eq!(judge(known, NOW, false), expected, "{known:?}");
        }
    }

    #[test]
    fn a_letter_that_was_discarded_on_purpose_is_not_missed() {
        let failed = known(Some(LogStatus::Failed), None, false);
        assert_eq!(judge(failed, NOW, true), Ok(Location::Failed));
        let nowhere = Facts::default();
        assert_eq!(judge(nowhere, NOW, true), Err(Suspicion::Nowhere));
    }
}
