//! Classification of a delivery from the state of log and broker. Pure.

use wahook_domain::{DeliveryRecord, Status, UnixMillis, WaitStep};

/// Status of a delivery in the log, including results that wait at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogStatus {
    Delivered,
    Failed,
    Retrying {
        due: UnixMillis,
        /// Delay, which determines the wait queue; `None` if no rule can produce it.
        wait: Option<WaitStep>,
    },
}

impl LogStatus {
    pub(super) fn of(record: &DeliveryRecord) -> Self {
        match (record.status(), record.next_attempt_at(), record.wait_ms()) {
            (Status::Success, ..) => Self::Delivered,
            (Status::Retrying, Some(due), Some(wait_ms)) => Self::Retrying {
                due,
                wait: WaitStep::of_millis(wait_ms),
            },
            _ => Self::Failed,
        }
    }
}

/// Dead letter of a delivery in `wahook.dead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeadLetterInfo {
    /// Moved by the broker, not by a consumer: the log may have no record of it.
    pub(super) moved_by_broker: bool,
    /// Time when the event was accepted, if the dead letter can be decoded.
    pub(super) accepted_at: Option<UnixMillis>,
}

/// Everything found about one delivery.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) log_status: Option<LogStatus>,
    pub(super) dead_letter: Option<DeadLetterInfo>,
    /// True if its message was found in the work queue.
    pub(super) queued: bool,
}

/// Location at which a delivery is accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    Delivered,
    Failed,
    Retrying,
    Queued,
}

/// Discrepancy between log and broker. While the system runs, most are messages in
/// transit and resolve themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Discrepancy {
    /// Neither the log nor the broker has anything of it.
    Missing,
    /// A consumer dead-lettered it, but the log has no record.
    RecordMissing,
    /// The log's status is failed, but there is no dead letter.
    DeadLetterMissing,
    /// Its next attempt was due at this time, but has no result.
    RetryOverdue { due: UnixMillis },
    /// Its wait queue holds fewer messages than deliveries waiting in it.
    WaitQueueShort { wait: WaitStep },
}

/// Returns the delivery's location, or the discrepancy. A retry due by `soon` may have
/// left its wait queue. With `dead_letters_discarded`, a missing dead letter is no
/// discrepancy.
pub(super) fn classify(
    facts: Facts,
    soon: UnixMillis,
    dead_letters_discarded: bool,
) -> Result<Location, Discrepancy> {
    let Facts {
        log_status,
        dead_letter,
        queued,
    } = facts;
    match (log_status, dead_letter) {
        (Some(LogStatus::Delivered), _) => Ok(Location::Delivered),
        (Some(LogStatus::Retrying { due, .. }), _) if queued || due > soon => {
            Ok(Location::Retrying)
        }
        // Redriven and not attempted yet, or the consumer was killed before recording.
        (None | Some(LogStatus::Failed), _) if queued => Ok(Location::Queued),
        (Some(_), Some(_)) => Ok(Location::Failed),
        (Some(LogStatus::Failed), None) if dead_letters_discarded => Ok(Location::Failed),
        (Some(LogStatus::Failed), None) => Err(Discrepancy::DeadLetterMissing),
        (Some(LogStatus::Retrying { due, .. }), None) => Err(Discrepancy::RetryOverdue { due }),
        (None, Some(dead_letter)) if dead_letter.moved_by_broker => Ok(Location::Failed),
        (None, Some(_)) => Err(Discrepancy::RecordMissing),
        (None, None) => Err(Discrepancy::Missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(100_000);
    const DEAD_LETTER: DeadLetterInfo = DeadLetterInfo {
        moved_by_broker: false,
        accepted_at: None,
    };
    const MOVED_BY_BROKER: DeadLetterInfo = DeadLetterInfo {
        moved_by_broker: true,
        ..DEAD_LETTER
    };

    fn retrying(due: i64) -> Option<LogStatus> {
        let (due, wait) = (UnixMillis::new(due), WaitStep::of_millis(5_000));
        Some(LogStatus::Retrying { due, wait })
    }

    fn facts(
        log_status: Option<LogStatus>,
        dead_letter: Option<DeadLetterInfo>,
        queued: bool,
    ) -> Facts {
        Facts {
            log_status,
            dead_letter,
            queued,
        }
    }

    #[test]
    fn every_combination_has_a_location_or_a_discrepancy() {
        let (delivered, failed) = (Some(LogStatus::Delivered), Some(LogStatus::Failed));
        let overdue = Discrepancy::RetryOverdue {
            due: UnixMillis::new(99_000),
        };
        for (log_status, dead_letter, queued, expected) in [
            (delivered, None, false, Ok(Location::Delivered)),
            // Duplicates of a delivered event.
            (delivered, Some(DEAD_LETTER), false, Ok(Location::Delivered)),
            (delivered, None, true, Ok(Location::Delivered)),
            (failed, Some(DEAD_LETTER), false, Ok(Location::Failed)),
            (failed, Some(MOVED_BY_BROKER), false, Ok(Location::Failed)),
            (failed, None, false, Err(Discrepancy::DeadLetterMissing)),
            (failed, None, true, Ok(Location::Queued)),
            (retrying(101_000), None, false, Ok(Location::Retrying)),
            (
                retrying(101_000),
                Some(DEAD_LETTER),
                false,
                Ok(Location::Retrying),
            ),
            (retrying(99_000), None, false, Err(overdue)),
            (retrying(99_000), None, true, Ok(Location::Retrying)),
            // Dead-lettered by the broker after 100 deliveries.
            (
                retrying(99_000),
                Some(MOVED_BY_BROKER),
                false,
                Ok(Location::Failed),
            ),
            (None, Some(MOVED_BY_BROKER), false, Ok(Location::Failed)),
            (
                None,
                Some(DEAD_LETTER),
                false,
                Err(Discrepancy::RecordMissing),
            ),
            (None, Some(DEAD_LETTER), true, Ok(Location::Queued)),
            (None, None, true, Ok(Location::Queued)),
            (None, None, false, Err(Discrepancy::Missing)),
        ] {
            let facts = facts(log_status, dead_letter, queued);
            assert_eq!(classify(facts, NOW, false), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_dead_letter_discarded_on_purpose_is_no_discrepancy() {
        let failed = facts(Some(LogStatus::Failed), None, false);
        assert_eq!(classify(failed, NOW, true), Ok(Location::Failed));
        let missing = Facts::default();
        assert_eq!(classify(missing, NOW, true), Err(Discrepancy::Missing));
    }
}
