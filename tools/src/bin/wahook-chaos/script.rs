//! Scripted behaviour of the webhook, and the expected result of each event.

use wahook_tests::receiver::Answer;

/// Behaviour of the webhook, determined by the number of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// Every tenth event fails its first attempt, every twenty-fifth fails all; the rest succeed.
    Mixed,
    /// Every first attempt fails.
    FirstFails,
    /// Nothing fails.
    Succeeds,
    /// Everything fails.
    Fails,
}

/// Expected result of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Answered 2xx, "success" in the log.
    Delivered,
    /// A dead letter, "failed" in the log.
    Dead,
}

/// Expected result of an event, with its number of posts in a run without faults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) end: End,
    pub(crate) posts: u32,
}

impl Script {
    /// Returns true if this attempt is answered 2xx.
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

    /// Returns the result of an event with this maximum of attempts.
    pub(crate) fn end(self, number: u64, attempts: u32) -> End {
        if (1..=attempts).any(|attempt| self.succeeds(number, attempt)) {
            End::Delivered
        } else {
            End::Dead
        }
    }

    /// Returns the number of attempts until this result.
    pub(crate) fn attempts(self, number: u64, attempts: u32) -> u32 {
        (1..=attempts)
            .find(|attempt| self.succeeds(number, *attempt))
            .unwrap_or(attempts)
    }
}

/// Expected results of the events of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) script: Script,
    /// Maximum of attempts: the first one and the retries.
    pub(crate) attempts: u32,
    /// Number of times that each event is published.
    pub(crate) copies: u32,
    /// All events are first exhausted, then redriven and delivered.
    pub(crate) is_redriven: bool,
    /// The clocks of the programs are wrong, and so are the timestamps that they sign.
    pub(crate) clock_is_off: bool,
}

impl Plan {
    /// Default plan of a row.
    pub(crate) fn usual(retries: u32) -> Self {
        Self {
            script: Script::Mixed,
            attempts: retries + 1,
            copies: 1,
            is_redriven: false,
            clock_is_off: false,
        }
    }

    pub(crate) fn expected(&self, number: u64) -> Expected {
        if self.is_redriven {
            return Expected {
                end: End::Delivered,
                posts: self.attempts + 1,
            };
        }
        Expected {
            end: self.script.end(number, self.attempts),
            posts: self.script.attempts(number, self.attempts) * self.copies,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_of_an_event_follows_from_its_attempts() {
        assert_eq!(Script::Mixed.end(7, 4), End::Dead);
        assert_eq!(Script::Mixed.attempts(7, 4), 4);
        assert_eq!(Script::Mixed.end(13, 4), End::Delivered);
        assert_eq!(Script::Mixed.attempts(13, 4), 2);
        assert_eq!(Script::Mixed.attempts(1, 4), 1);
        assert_eq!(Script::FirstFails.end(1, 1), End::Dead);
    }

    #[test]
    fn redriven_event_is_delivered_after_all_its_attempts() {
        let mut plan = Plan::usual(3);
        plan.script = Script::Fails;
        let expected = plan.expected(1);
        assert_eq!((expected.end, expected.posts), (End::Dead, 4));
        plan.is_redriven = true;
        let expected = plan.expected(1);
        assert_eq!((expected.end, expected.posts), (End::Delivered, 5));
    }
}
