//! Automatic redrive: dead letters that are sent again after their endpoint has recovered from
//! an outage.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, str::FromStr, time::Duration};

use crate::{
    endpoint::EndpointName,
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

/// Latest recovery of each endpoint that redrives dead letters by itself and is not in an outage.
pub type Recoveries = BTreeMap<EndpointName, Recovery>;

/// Dead letter of a delivery whose attempts failed.
#[derive(Debug, Clone, Copy)]
pub struct DeadDelivery<'a> {
    pub died_at: UnixMillis,
    /// True if the last attempt failed because of an outage. `None` in dead letters of earlier
    /// versions: their reason decides.
    pub is_outage: Option<bool>,
    /// Error of the last attempt, or another reason for which the event was given up.
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
    /// to another outage, so that no event is redriven twice for this recovery.
    #[must_use]
    pub fn selects(&self, letter: &DeadDelivery<'_>) -> bool {
        letter.died_at <= self.at
            && self.at.since(letter.died_at) <= self.rule.period.duration()
            && letter.auto_redrives < AutoRedrive::MOST
            && letter
                .is_outage
                .unwrap_or_else(|| is_reason_of_outage(letter.reason))
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

/// Causes of outages.
const CAUSES: [FailureCause; 8] = [
    FailureCause::Dns,
    FailureCause::ConnectionRefused,
    FailureCause::ConnectionReset,
    FailureCause::Connect,
    FailureCause::Tls,
    FailureCause::Protocol,
    FailureCause::Body,
    // A timeout starts with the same words.
    FailureCause::Other,
];

/// Returns true if a reason is the message of an [`Outcome`] that is an outage. Others, such as
/// the one of an event that an operator gave up, are none.
fn is_reason_of_outage(reason: &str) -> bool {
    if let Some(status) = reason.strip_prefix("answered ") {
        let answered = |status| Outcome::Answered {
            status,
            retry_after: None,
        };
        return status
            .parse()
            .is_ok_and(|status| HealthSignal::of(&answered(status)).is_outage());
    }
    let messages = CAUSES.iter().map(|cause| cause.message());
    let mut starts = messages.chain([FailureCause::CERTIFICATE]);
    starts.any(|start| reason.starts_with(start))
}

#[cfg(test)]
mod tests;
