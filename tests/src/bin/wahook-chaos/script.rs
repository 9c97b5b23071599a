//! What does the webhook do with an event, and how must it end for that?

use wahook_tests::receiver::Answer;

/// The webhook's behaviour, known beforehand for each event by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// Most succeed at once; one in ten fails its first attempt, one in twenty-five all.
    Mixed,
    /// Every first attempt fails.
    FirstFails,
    /// Nothing fails.
    Succeeds,
    /// Everything fails.
    Fails,
}

/// How an event has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Answered 2xx, "success" in the log.
    Delivered,
    /// A dead letter, "failed" in the log.
    Dead,
}

impl Script {
    /// Whether this attempt is answered 2xx.
    pub(crate) fn succeeds(self, number: u64, attempt: u32) -> bool {
        match self {
            Self::Mixed if number % 25 == 7 => false,
            Self::Mixed if number % 10 == 3 => attempt > 1,
            Self::Mixed | Self::Succeeds => true,
            Self::FirstFails => attempt > 1,
            Self::Fails => false,
        }
    }

    pub(crate) fn answer(self, number: u64, attempt: u32) -> Answer {
        Answer::status(if self.succeeds(number, attempt) {
            200
        } else {
            500
        })
    }

    /// How an event ends that may be attempted so often.
    pub(crate) fn end(self, number: u64, attempts: u32) -> End {
        if (1..=attempts).any(|attempt| self.succeeds(number, attempt)) {
            End::Delivered
        } else {
            End::Dead
        }
    }

    /// The attempts that it takes to get there.
    pub(crate) fn attempts(self, number: u64, attempts: u32) -> u32 {
        (1..=attempts)
            .find(|attempt| self.succeeds(number, *attempt))
            .unwrap_or(attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_as_its_attempts_do() {
        assert_eq!(Script::Mixed.end(7, 4), End::Dead);
        assert_eq!(Script::Mixed.attempts(7, 4), 4);
        assert_eq!(Script::Mixed.end(13, 4), End::Delivered);
        assert_eq!(Script::Mixed.attempts(13, 4), 2);
        assert_eq!(Script::Mixed.attempts(1, 4), 1);
        assert_eq!(Script::FirstFails.end(1, 1), End::Dead);
    }
}
