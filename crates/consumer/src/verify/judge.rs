//! Where a delivery is, from what log and broker know of it. Pure.

use wahook_domain::{DeliveryRecord, Status, UnixMillis};

/// What the log says of a delivery, results included that still wait in the
/// broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Delivered,
    Failed,
    Retrying {
        due: UnixMillis,
        /// How long the wait is, which names the queue.
        wait_ms: i64,
    },
}

impl Standing {
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
pub(super) struct Letter {
    /// Then no attempt need ever have ended, and the log may know nothing.
    pub(super) moved_by_broker: bool,
    /// When the event was accepted, where the letter can be read.
    pub(super) accepted_at: Option<UnixMillis>,
}

/// All that is known of one delivery.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) standing: Option<Standing>,
    pub(super) letter: Option<Letter>,
    /// Its message was seen in its work queue.
    pub(super) queued: bool,
}

/// Where a delivery is accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Delivered,
    Failed,
    Retrying,
    Queued,
}

/// What does not add up at first sight. While the system runs most of it is on
/// its way from one place to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
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
    known: Known,
    soon: UnixMillis,
    letters_discarded: bool,
) -> Result<Place, Doubt> {
    let Known {
        standing,
        letter,
        queued,
    } = known;
    match (standing, letter) {
        (Some(Standing::Delivered), _) => Ok(Place::Delivered),
        (Some(Standing::Retrying { due, .. }), _) if queued || due > soon => Ok(Place::Retrying),
        // Redriven, and not attempted yet; or killed before it was recorded.
        (None | Some(Standing::Failed), _) if queued => Ok(Place::Queued),
        (Some(_), Some(_)) => Ok(Place::Failed),
        (Some(Standing::Failed), None) if letters_discarded => Ok(Place::Failed),
        (Some(Standing::Failed), None) => Err(Doubt::NoLetter),
        (Some(Standing::Retrying { due, .. }), None) => Err(Doubt::Overdue { due }),
        (None, Some(letter)) if letter.moved_by_broker => Ok(Place::Failed),
        (None, Some(_)) => Err(Doubt::NoRecord),
        (None, None) => Err(Doubt::Nowhere),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(100_000);
    const LETTER: Letter = Letter {
        moved_by_broker: false,
        accepted_at: None,
    };
    const MOVED: Letter = Letter {
        moved_by_broker: true,
        ..LETTER
    };

    fn retrying(due: i64) -> Option<Standing> {
        let (due, wait_ms) = (UnixMillis::new(due), 5_000);
        Some(Standing::Retrying { due, wait_ms })
    }

    fn known(standing: Option<Standing>, letter: Option<Letter>, queued: bool) -> Known {
        Known {
            standing,
            letter,
            queued,
        }
    }

    #[test]
    fn every_combination_has_its_place_or_its_doubt() {
        let (delivered, failed) = (Some(Standing::Delivered), Some(Standing::Failed));
        let overdue = Doubt::Overdue {
            due: UnixMillis::new(99_000),
        };
        for (standing, letter, queued, expected) in [
            (delivered, None, false, Ok(Place::Delivered)),
            // Duplicates of what was delivered.
            (delivered, Some(LETTER), false, Ok(Place::Delivered)),
            (delivered, None, true, Ok(Place::Delivered)),
            (failed, Some(LETTER), false, Ok(Place::Failed)),
            (failed, Some(MOVED), false, Ok(Place::Failed)),
            (failed, None, false, Err(Doubt::NoLetter)),
            (failed, None, true, Ok(Place::Queued)),
            (retrying(101_000), None, false, Ok(Place::Retrying)),
            (retrying(101_000), Some(LETTER), false, Ok(Place::Retrying)),
            (retrying(99_000), None, false, Err(overdue)),
            (retrying(99_000), None, true, Ok(Place::Retrying)),
            // It killed its consumers a hundred times.
            (retrying(99_000), Some(MOVED), false, Ok(Place::Failed)),
            (None, Some(MOVED), false, Ok(Place::Failed)),
            (None, Some(LETTER), false, Err(Doubt::NoRecord)),
            (None, Some(LETTER), true, Ok(Place::Queued)),
            (None, None, true, Ok(Place::Queued)),
            (None, None, false, Err(Doubt::Nowhere)),
        ] {
            let known = known(standing, letter, queued);
            assert_eq!(judge(known, NOW, false), expected, "{known:?}");
        }
    }

    #[test]
    fn a_letter_that_was_discarded_on_purpose_is_not_missed() {
        let failed = known(Some(Standing::Failed), None, false);
        assert_eq!(judge(failed, NOW, true), Ok(Place::Failed));
        let nowhere = Known::default();
        assert_eq!(judge(nowhere, NOW, true), Err(Doubt::Nowhere));
    }
}
