//! Balance: lanes move from consumers that own many to those that own few.
//!
//! The broker gives a lane to the consumer that subscribed first, so one that starts first
//! gets all. An owner of more than its share gives up one lane after another and subscribes
//! again, which puts it behind the others.

use std::{collections::BTreeMap, time::Duration};

/// Polls after which a surplus counts. A consumer that just started is counted before it has
/// subscribed to the lanes.
const SURPLUS_POLLS: u32 = 4;
/// Time for which a new owner keeps a lane: the lease of the former owner, for which its events
/// wait, and the start of their attempts. Given up earlier, they would wait once more.
const KEPT_FOR: Duration = Duration::from_secs(2);
/// Time within which a lane that was given up comes back if no other consumer takes it, because the
/// others have not subscribed yet. Later, another one has given it up as well.
const BACK_WITHIN: Duration = Duration::from_secs(1);
/// First rest after a lane came back: not every counted consumer takes lanes, such as one that just
/// started, or one with other settings during an update. During a rest no lane is given up.
const SHORTEST_REST: Duration = Duration::from_secs(1);
/// Longest rest. Each one is twice as long as the last one.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// Time for which the first lane after a rest stays away before others follow it.
const TRIED_FOR: Duration = Duration::from_secs(1);
/// Time without such a return after which the first rest is the shortest one again.
const QUIET: Duration = Duration::from_secs(60);

/// Lanes of one endpoint that a consumer owns. Times are those since any fixed moment.
#[derive(Debug, Default)]
pub struct LaneBalance {
    /// Owned lanes by number.
    owned: BTreeMap<usize, Owned>,
    /// Consumers of the endpoint at the last poll.
    members: u32,
    /// Polls in succession that have found a surplus.
    surplus_polls: u32,
    /// Lanes that were given up, with the end of their ownership.
    given_up: BTreeMap<usize, Duration>,
    rest: Rest,
}

#[derive(Debug)]
struct Owned {
    since: Duration,
    /// True once it must be given up.
    is_releasing: bool,
}

/// Rests in succession.
#[derive(Debug, Default)]
struct Rest {
    until: Duration,
    /// Length and begin of the last one.
    last: Option<(Duration, Duration)>,
    pace: Pace,
}

/// Lanes that are given up after a rest.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Pace {
    /// With each poll one.
    #[default]
    Each,
    /// One, and the others once it has stayed away.
    OneFirst,
    /// The others once this one has stayed away.
    After(usize),
    /// One before the next rest.
    One,
}

impl LaneBalance {
    /// Records that this consumer owns a lane.
    pub fn own(&mut self, lane: usize, now: Duration) {
        if let Some(at) = self.given_up.remove(&lane) {
            let is_unwanted = now.saturating_sub(at) < BACK_WITHIN;
            self.rest.begin(
                now,
                if is_unwanted {
                    Pace::OneFirst
                } else {
                    Pace::One
                },
            );
        }
        let owned = Owned {
            since: now,
            is_releasing: false,
        };
        self.owned.insert(lane, owned);
    }

    /// Records that this consumer does not own a lane any longer.
    pub fn end(&mut self, lane: usize, now: Duration) {
        let owned = self.owned.remove(&lane);
        if owned.is_some_and(|owned| owned.is_releasing) {
            self.given_up.insert(lane, now);
        }
    }

    /// Returns true if this consumer owns the lane.
    #[must_use]
    pub fn owns(&self, lane: usize) -> bool {
        self.owned.contains_key(&lane)
    }

    /// Returns a lane to give up if this consumer owns more than its share among `members`.
    ///
    /// Earlier lanes, whose numbers are not below `lanes`, do not count: they are empty soon.
    pub fn poll(&mut self, lanes: usize, members: u32, now: Duration) -> Option<usize> {
        if self.members != members {
            self.members = members;
            self.rest = Rest::default();
            self.given_up.clear();
        }
        let kept = self.owned.range(..lanes);
        let kept = kept.filter(|(_, owned)| !owned.is_releasing).count();
        if kept <= share(lanes, members) {
            self.surplus_polls = 0;
            return None;
        }
        self.surplus_polls = self.surplus_polls.saturating_add(1);
        if self.surplus_polls < SURPLUS_POLLS || now < self.rest.until {
            return None;
        }
        self.rest.forget_old(now);
        if let Pace::After(lane) = self.rest.pace {
            let ended_at = self.given_up.get(&lane)?;
            if now.saturating_sub(*ended_at) < TRIED_FOR {
                return None;
            }
            self.rest.pace = Pace::Each;
        }
        let mut owned = self.owned.range_mut(..lanes);
        let may_go = |owned: &Owned| !owned.is_releasing && owned.since + KEPT_FOR <= now;
        let (lane, owned) = owned.rfind(|(_, owned)| may_go(owned))?;
        owned.is_releasing = true;
        self.rest.gave_up(*lane, now);
        Some(*lane)
    }
}

impl Rest {
    /// Begins a rest, unless one lasts: several lanes can come back at once.
    fn begin(&mut self, now: Duration, pace: Pace) {
        if now < self.until {
            return;
        }
        self.forget_old(now);
        let length = match self.last {
            Some((length, _)) => (2 * length).min(LONGEST_REST),
            None => SHORTEST_REST,
        };
        *self = Self {
            until: now + length,
            last: Some((length, now)),
            pace,
        };
    }

    /// Begins anew after a quiet time.
    fn forget_old(&mut self, now: Duration) {
        if self
            .last
            .is_some_and(|(_, at)| now.saturating_sub(at) >= QUIET)
        {
            *self = Self::default();
        }
    }

    /// Records that a lane is given up.
    fn gave_up(&mut self, lane: usize, now: Duration) {
        match (self.pace, self.last) {
            (Pace::OneFirst, _) => self.pace = Pace::After(lane),
            (Pace::One, Some((length, _))) => self.until = now + length,
            _ => {}
        }
    }
}

/// Returns the largest number of lanes that one of so many consumers should own.
fn share(lanes: usize, consumers: u32) -> usize {
    let consumers = usize::try_from(consumers).unwrap_or(usize::MAX);
    lanes.div_ceil(consumers.max(1))
}

#[cfg(test)]
mod tests;
