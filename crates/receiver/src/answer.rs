//! What is answered, until when (pure).

use std::time::Duration;

/// How a webhook is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// 200 to 599.
    pub status: u16,
    /// In seconds.
    pub retry_after: Option<u32>,
    /// How long the sender waits for it.
    pub delay: Duration,
}

impl Answer {
    /// At once, and without anything else.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self {
            status,
            retry_after: None,
            delay: Duration::ZERO,
        }
    }
}

/// How the next webhooks are answered. 200, where nothing else was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) answer: Answer,
    /// For how many more; `None`: until it is changed.
    pub(crate) left: Option<u32>,
}

/// What can't be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRule {
    /// A webhook's final answer is neither informational nor unknown.
    #[error("status must be from 200 to 599")]
    Status,
    /// Nobody waits that long.
    #[error("delay_ms must be at most {} (10 minutes)", Rule::LONGEST_DELAY.as_millis())]
    Delay,
    /// None at all would be the rule for nobody.
    #[error("next must be at least 1; leave it out to mean all until it is changed")]
    Next,
}

impl Rule {
    /// All with 200, at once.
    pub(crate) const OK: Self = Self {
        answer: Answer::status(200),
        left: None,
    };
    const LONGEST_DELAY: Duration = Duration::from_secs(600);

    /// # Errors
    /// When a value is out of its range.
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

    /// The answer for one webhook, and the rule for those after it.
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
    fn the_next_two_are_answered_otherwise_and_the_third_as_ever() {
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
    fn without_a_number_it_holds_until_it_is_changed() {
        let rule = Rule::new(Answer::status(503), None).unwrap();
        assert_eq!(rule.applied(), (Answer::status(503), rule));
    }

    #[test]
    fn what_no_webhook_answers_is_refused() {
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
