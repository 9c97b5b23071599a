//! Lanes: queues of one endpoint, among which the buckets of keys are divided.

mod balance;

pub use balance::LaneBalance;

use std::{fmt, num::NonZeroU8, str::FromStr};

use crate::order::BUCKETS;

/// Number of lanes of an endpoint, 1 to [`BUCKETS`]: each lane has at least one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneCount(NonZeroU8);

/// Text or number that is no number of lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number of lanes must be 1 to {BUCKETS}")]
pub struct InvalidLaneCount;

impl LaneCount {
    /// One lane: the order of all events of an endpoint in one queue.
    pub const ONE: Self = Self(NonZeroU8::MIN);
    /// As many lanes as there are buckets.
    pub const MAX: Self = match NonZeroU8::new(BUCKETS) {
        Some(lanes) => Self(lanes),
        None => Self::ONE,
    };

    /// Returns the number of lanes; `None` outside its range.
    #[must_use]
    pub fn new(lanes: u8) -> Option<Self> {
        let lanes = NonZeroU8::new(lanes)?;
        (lanes.get() <= BUCKETS).then_some(Self(lanes))
    }

    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// Returns the lane, from 0, of the keys in a bucket.
    #[must_use]
    pub fn lane_of(self, bucket: u8) -> u8 {
        bucket % self.0
    }
}

/// Queues among which the events of an endpoint are divided, by the buckets of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lanes {
    /// Each has one owner at a time, which keeps the order of each key.
    Ordered(LaneCount),
    /// All consumers share each of them, without an order. The first one is the work queue.
    Shared(LaneCount),
}

impl Lanes {
    /// Returns the number of lanes.
    #[must_use]
    pub const fn count(self) -> LaneCount {
        match self {
            Self::Ordered(count) | Self::Shared(count) => count,
        }
    }
}

impl FromStr for LaneCount {
    type Err = InvalidLaneCount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lanes = text.parse().map_err(|_| InvalidLaneCount)?;
        Self::new(lanes).ok_or(InvalidLaneCount)
    }
}

impl fmt::Display for LaneCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn lane_count_is_between_one_and_the_number_of_buckets() {
        assert_eq!("1".parse(), Ok(LaneCount::ONE));
        assert_eq!("64".parse::<LaneCount>().unwrap().to_string(), "64");
        for text in ["0", "65", "256", "-1", "", "four"] {
            assert_eq!(text.parse::<LaneCount>(), Err(InvalidLaneCount), "{text}");
        }
    }

    #[test]
    fn buckets_are_divided_among_all_lanes_of_any_number() {
        for lanes in (1..=BUCKETS).filter_map(LaneCount::new) {
            let used: BTreeSet<u8> = (0..BUCKETS).map(|bucket| lanes.lane_of(bucket)).collect();
            assert_eq!(used, (0..lanes.get()).collect(), "{lanes}");
        }
    }
}
