//! Rules for the answers to webhooks (pure).

use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Status, 200 to 599.
    pub status: u16,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    pub delay: Duration,
}

impl Answer {
    /// Creates an answer without delay and `Retry-After`.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self {
            status,
            retry_after: None,
            delay: Duration::ZERO,
        }
    }
}

/// Rule for the answers to the next webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) answer: Answer,
    /// Remaining webhooks; `None` until the rule is changed.
    pub(crate) left: Option<u32>,
}

/// Value of a rule that is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRule {
    #[error("status must be from 200 to 599")]
    Status,
    #[error("delay_ms must be at most {} (10 minutes)", Rule::LONGEST_DELAY.as_millis())]
    Delay,
    #[error("next must be at least 1; omit it for all requests until the rule is changed")]
    Next,
}

impl Rule {
    /// Default rule: 200 for all, without delay.
    pub(crate) const OK: Self = Self {
        answer: Answer::status(200),
        left: None,
    };
    const LONGEST_DELAY: Duration = Duration::from_secs(600);

    /// # Errors
    /// If a value is out of range.
    pub(crate) fn new(answer: Answer, next: Option<u32>) -> Result<Self, InvalidRule> {
        if !(200..=599).contains(&answer.status) {
            return Err(InvalidRule::Status);
        }
        if answer.delay > Self::LONGEST_DELAY {
            return Err(InvalidRule::Delay);
        }
        if next == Some(0) {
            return Err(InvalidRule::Next);
        }
        Ok(Self { answer, left: next })
    }

    /// Returns the answer for one webhook, and the rule for the following ones.
    #[must_use]
    pub(crate) const fn applied(self) -> (Answer, Self) {
        let then = match self.left {
            None => self,
            Some(left) if left > 1 => Self {
                left: Some(left - 1),
                ..self
            },
            Some(_) => Self::OK,
        };
        (self.answer, then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_for_two_webhooks_ends_after_the_second() {
        let mut rule = Rule::new(Answer::status(500), Some(2)).unwrap();
        let statuses = [(); 3].map(|()| {
            let (answer, then) = rule.applied();
            rule = then;
            answer.status
        });
        assert_eq!(statuses, [500, 500, 200]);
        assert_eq!(rule, Rule::OK);
    }

    #[test]
    fn rule_without_a_number_holds_until_it_is_changed() {
        let rule = Rule::new(Answer::status(503), None).unwrap();
        assert_eq!(rule.applied(), (Answer::status(503), rule));
    }

    #[test]
    fn rule_out_of_range_is_rejected() {
        for status in [0, 100, 199, 600] {
            let refused = Rule::new(Answer::status(status), None);
            assert_eq!(refused, Err(InvalidRule::Status));
        }
        assert_eq!(
            Rule::new(Answer::status(200), Some(0)),
            Err(InvalidRule::Next)
        );
        let slow = Answer {
            delay: Duration::from_millis(600_001),
            ..Answer::status(200)
        };
        assert_eq!(Rule::new(slow, None), Err(InvalidRule::Delay));
    }
}
