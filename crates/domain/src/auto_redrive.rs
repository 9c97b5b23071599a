//! Automatic redrive: dead letters that are sent again after their endpoint has recovered from
//! an outage.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use crate::{
    health::HealthSignal,
    outcome::{FailureCause, Outcome},
    retry::schedule::{Written, millis},
    time::UnixMillis,
};

/// Rule of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoRedrive {
    pub period: RedrivePeriod,
    pub rate: RedriveRate,
}

/// Time before a recovery within which a delivery must have died to be redriven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedrivePeriod(u32);

/// Redriven dead letters per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedriveRate(NonZeroU32);

/// Value that is no time within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {form}", form = RedrivePeriod::FORM)]
pub struct InvalidRedrivePeriod;

/// End of an outage of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    pub at: UnixMillis,
    pub rule: AutoRedrive,
}

/// Dead letter of a delivery whose attempts failed.
#[derive(Debug, Clone, Copy)]
pub struct DeadDelivery<'a> {
    pub died_at: UnixMillis,
    /// Error of the last attempt.
    pub reason: &'a str,
    /// Earlier automatic redrives of the event.
    pub auto_redrives: u8,
}

impl AutoRedrive {
    /// Automatic redrives of one event at most: an event that its endpoint always answers with
    /// a 5xx must not circulate.
    pub const MOST: u8 = 3;
}

impl RedrivePeriod {
    pub const FORM: &str = "a time of 1m to 7d, such as 6h";
    /// A minute.
    const SHORTEST_MS: u32 = 60_000;

    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

impl FromStr for RedrivePeriod {
    type Err = InvalidRedrivePeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        millis(text)
            .filter(|millis| *millis >= Self::SHORTEST_MS)
            .map(Self)
            .ok_or(InvalidRedrivePeriod)
    }
}

impl fmt::Display for RedrivePeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Written(self.0))
    }
}

impl RedriveRate {
    pub const DEFAULT: u32 = 10;
    pub const HIGHEST: u32 = 1_000;

    /// Creates a rate; `None` for 0 and above [`Self::HIGHEST`].
    #[must_use]
    pub fn new(per_second: u32) -> Option<Self> {
        let per_second = NonZeroU32::new(per_second)?;
        (per_second.get() <= Self::HIGHEST).then_some(Self(per_second))
    }

    #[must_use]
    pub const fn per_second(self) -> NonZeroU32 {
        self.0
    }
}

impl Recovery {
    /// Returns true for a letter of the outage that has ended. Letters that died later belong
    /// to another outage, so that no letter is redriven twice after one recovery.
    #[must_use]
    pub fn selects(&self, letter: &DeadDelivery<'_>) -> bool {
        letter.died_at <= self.at
            && self.at.since(letter.died_at) <= self.rule.period.duration()
            && letter.auto_redrives < AutoRedrive::MOST
            && is_outage(letter.reason)
    }
}

impl HealthSignal {
    /// Returns true for an attempt that failed because of an outage or overload of its endpoint,
    /// rather than because of its event.
    #[must_use]
    pub const fn is_outage(self) -> bool {
        matches!(self, Self::Failure | Self::Busy(_))
    }
}

/// Returns true if the message of an [`Outcome`] names an outage.
fn is_outage(reason: &str) -> bool {
    if let Some(status) = reason.strip_prefix("answered ") {
        let answered = |status| Outcome::Answered {
            status,
            retry_after: None,
        };
        return status
            .parse()
            .is_ok_and(|status| HealthSignal::of(&answered(status)).is_outage());
    }
    let is_refusal =
        reason.starts_with("redirect ") || reason.starts_with(FailureCause::Blocked.message());
    !reason.is_empty() && !is_refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixMillis = UnixMillis::new(1_727_784_000_000);

    fn recovery() -> Recovery {
        Recovery {
            at: AT,
            rule: AutoRedrive {
                period: "6h".parse().unwrap(),
                rate: RedriveRate::new(10).unwrap(),
            },
        }
    }

    fn letter(reason: &str) -> DeadDelivery<'_> {
        DeadDelivery {
            died_at: AT.minus(Duration::from_secs(60)),
            reason,
            auto_redrives: 0,
        }
    }

    #[test]
    fn letters_of_outages_are_selected_and_refusals_are_not() {
        let causes = [
            FailureCause::Dns,
            FailureCause::ConnectionRefused,
            FailureCause::ConnectionReset,
            FailureCause::Connect,
            FailureCause::Tls,
            FailureCause::Protocol,
            FailureCause::Body,
            FailureCause::Blocked,
            FailureCause::Other,
        ];
        let mut outcomes = vec![Outcome::TimedOut {
            limit: Duration::from_secs(30),
        }];
        for cause in causes {
            for detail in ["", "certificate expired", "10.0.0.1"] {
                let detail = detail.to_owned();
                outcomes.push(Outcome::Failed { cause, detail });
            }
        }
        for status in 400..=999 {
            outcomes.push(Outcome::Answered {
                status,
                retry_after: None,
            });
        }
        for location in [None, Some("https://example.com/login".to_owned())] {
            outcomes.push(Outcome::Redirected {
                status: 302,
                location,
                fault: None,
            });
        }
        for outcome in outcomes {
            let reason = outcome.error_message().unwrap();
            let expected = HealthSignal::of(&outcome).is_outage();
            assert_eq!(recovery().selects(&letter(&reason)), expected, "{reason}");
        }
        for (reason, expected) in [
            ("answered 503", true),
            ("answered 429", true),
            ("no answer in 30 s", true),
            ("answered 404", false),
            ("answered 410", false),
            ("answered ", false),
            ("", false),
        ] {
            assert_eq!(recovery().selects(&letter(reason)), expected, "{reason}");
        }
    }

    #[test]
    fn letters_within_the_period_before_the_recovery_are_selected() {
        let died = |died_at| DeadDelivery {
            died_at,
            ..letter("answered 500")
        };
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        assert!(recovery().selects(&died(AT)));
        assert!(recovery().selects(&died(AT.minus(hours(6)))));
        assert!(!recovery().selects(&died(AT.minus(hours(7)))));
        assert!(!recovery().selects(&died(AT.plus(Duration::from_millis(1)))));
    }

    #[test]
    fn event_is_redriven_three_times_at_most() {
        let redriven = |auto_redrives| DeadDelivery {
            auto_redrives,
            ..letter("answered 500")
        };
        assert!(recovery().selects(&redriven(2)));
        assert!(!recovery().selects(&redriven(3)));
    }

    #[test]
    fn period_and_rate_have_bounds() {
        for text in ["1m", "90s", "6h", "7d"] {
            let period: RedrivePeriod = text.parse().unwrap();
            assert_eq!(period.to_string(), text);
        }
        for text in ["", "6", "59s", "8d", "6 h", "1w"] {
            assert_eq!(text.parse::<RedrivePeriod>(), Err(InvalidRedrivePeriod));
        }
        assert_eq!(RedriveRate::new(0), None);
        assert_eq!(RedriveRate::new(1_001), None);
        let rate = RedriveRate::new(1_000).unwrap();
        assert_eq!(rate.per_second().get(), 1_000);
    }
}
