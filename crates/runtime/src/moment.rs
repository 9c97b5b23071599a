//! Points in time as an operator types them.

use std::str::FromStr;
use wahook_domain::UnixMillis;

use crate::Age;

/// Moment, absolute or relative to now.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    Ago(Age),
    At(UnixMillis),
}

impl Moment {
    /// Returns the absolute time, given the current one.
    #[must_use]
    pub fn before(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::Ago(age) => now.minus(age.get()),
            Self::At(moment) => moment,
        }
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(age) = text.parse() {
            return Ok(Self::Ago(age));
        }
        let moment: jiff::Timestamp = text.parse().map_err(|_| InvalidMoment)?;
        Ok(Self::At(UnixMillis::new(moment.as_millisecond())))
    }
}

/// Text that is neither a duration nor a moment.
#[derive(Debug, thiserror::Error)]
#[error("neither a time such as 90s, 30m, 2h or 7d, nor a moment such as 2026-01-31T12:00:00Z")]
pub struct InvalidMoment;
