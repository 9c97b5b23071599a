//! Throttle: rate of deliveries that adapts to the answers of an endpoint.
//!
//! After a pause the rate starts low and doubles each second while the endpoint answers.
//! A 429 cuts it below the rate that the endpoint took. After the second cut it grows
//! slowly up to that rate, and faster beyond, until it limits nothing. Times are durations since any fixed
//! moment.

use std::time::Duration;

/// Deliveries per second just after a pause.
const FIRST_RATE: f64 = 5.0;
/// Failures in succession after which the ramp that follows a pause steps back. Fewer can be
/// the fault of single events.
const STEP_BACK_AFTER: u32 = 3;
/// Lowest rate while an endpoint fails just after a pause.
const LOWEST_FIRST_RATE: f64 = 2.5;
/// Lowest rate of an endpoint that answers 429.
const LOWEST_RATE: f64 = 0.1;
/// Rate above which the throttle ends.
const HIGHEST_RATE: f64 = 2_000.0;
/// Share of the rate that a cut leaves.
const CUT: f64 = 0.85;
/// Growth of the rate per answer: doubles it each second.
const DOUBLING: f64 = 0.7;
/// Growth of the rate per answer below the last rate that was too high: 1.5 % each second.
const CAREFUL: f64 = 0.015;
/// Growth of the rate per answer above it: 10 % each second.
const BOLD: f64 = 0.1;
/// Factor above the last rate that was too high from which the growth is bold.
const BEYOND: f64 = 1.1;
/// Time after which the ramp that follows a pause ends, if no attempt failed.
const RAMP_LIMIT: Duration = Duration::from_secs(60);
/// Hold after a 429 without `Retry-After`. Doubles while the endpoint takes nothing.
const FIRST_HOLD: Duration = Duration::from_secs(1);
/// Longest hold that the endpoint did not request.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// Adaptive rate of one endpoint.
#[derive(Debug, Default)]
pub struct Throttle {
    limited: Option<Limited>,
    recent: Recent,
    /// Failures since the last answer of an endpoint that works.
    failures: u32,
    /// Consecutive cuts without an answer other than 429 between them.
    fruitless: u32,
}

#[derive(Debug, Clone, Copy)]
struct Limited {
    /// Deliveries per second.
    rate: f64,
    /// Start of the ramp, or time of the last cut.
    since: Duration,
    /// Last rate that was too high. `None` until the second cut: during the ramp after a
    /// pause, and after the first cut, whose rate is a guess.
    too_high: Option<f64>,
    /// Lowest rate since the first cut; `None` during the ramp after a pause.
    lowest: Option<f64>,
}

/// Hold after a 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Time for which no delivery starts.
    pub time: Duration,
    /// True if the endpoint was not slowed before.
    pub is_first: bool,
}

impl Throttle {
    /// Starts the ramp after a pause. A rate that the endpoint requested stays.
    pub fn resume(&mut self, now: Duration) {
        if self.is_slowed() {
            return;
        }
        self.limited = Some(Limited {
            rate: FIRST_RATE,
            since: now,
            too_high: None,
            lowest: None,
        });
    }

    /// Records an answer of an endpoint that works.
    pub fn answered(&mut self, now: Duration) {
        self.recent.count(now);
        self.failures = 0;
        self.fruitless = 0;
        let Some(limited) = &mut self.limited else {
            return;
        };
        limited.rate += match limited.too_high {
            None => DOUBLING,
            Some(too_high) if limited.rate < BEYOND * too_high => CAREFUL,
            Some(_) => BOLD,
        };
        let ramp_is_over =
            limited.too_high.is_none() && now.saturating_sub(limited.since) > RAMP_LIMIT;
        if ramp_is_over || limited.rate > HIGHEST_RATE {
            self.limited = None;
        }
    }

    /// Records a failed attempt. After some in succession, the ramp after a pause steps back.
    pub fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        if self.failures < STEP_BACK_AFTER {
            return;
        }
        if let Some(limited) = &mut self.limited
            && limited.too_high.is_none()
        {
            limited.rate = (limited.rate / 2.0).max(LOWEST_FIRST_RATE);
            limited.since = now;
        }
    }

    /// Records a 429 for a request that began at `started`, with the wait that the
    /// endpoint requested. Requests in flight at a cut do not cut again.
    pub fn busy(&mut self, now: Duration, started: Duration, requested: Option<Duration>) -> Hold {
        let requested = requested.unwrap_or_default();
        let is_first = !self.is_slowed();
        if let Some(Limited { since, .. }) = self.limited
            && !is_first
            && started < since
        {
            return Hold {
                time: requested,
                is_first,
            };
        }
        let taken = self.recent.highest(now);
        let too_high = match self.limited {
            Some(limited) if taken == 0.0 => limited.rate,
            Some(limited) => limited.rate.min(taken.max(limited.rate / 2.0)),
            None => taken.max(1.0),
        };
        let rate = (CUT * too_high).max(LOWEST_RATE);
        let lowest = self.slowest().map_or(rate, |lowest| lowest.min(rate));
        self.limited = Some(Limited {
            rate,
            since: now,
            too_high: (!is_first).then_some(too_high),
            lowest: Some(lowest),
        });
        let own = FIRST_HOLD.saturating_mul(1 << self.fruitless.min(16));
        self.fruitless = self.fruitless.saturating_add(1);
        Hold {
            time: own.min(LONGEST_HOLD).max(requested),
            is_first,
        }
    }

    /// Returns the deliveries per second; `None` without a limit.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.limited.map(|limited| limited.rate)
    }

    /// Returns the time between two deliveries; `None` without a limit.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        Some(Duration::from_secs_f64(self.rate()?.recip()))
    }

    /// Returns the lowest rate since the first 429; `None` if the endpoint is not slowed.
    #[must_use]
    pub fn slowest(&self) -> Option<f64> {
        self.limited?.lowest
    }

    /// Returns true after a 429, until the rate limits nothing.
    fn is_slowed(&self) -> bool {
        self.slowest().is_some()
    }
}

/// Answers in each of the last seconds.
#[derive(Debug, Default)]
struct Recent {
    /// Last counted second.
    second: u64,
    /// Counts, latest second first.
    counts: [u32; 4],
}

impl Recent {
    fn count(&mut self, now: Duration) {
        self.advance(now);
        if let Some(count) = self.counts.first_mut() {
            *count = count.saturating_add(1);
        }
    }

    /// Returns the highest count of a second.
    fn highest(&mut self, now: Duration) -> f64 {
        self.advance(now);
        f64::from(self.counts.into_iter().max().unwrap_or_default())
    }

    fn advance(&mut self, now: Duration) {
        while self.second < now.as_secs() {
            if self.counts == [0; 4] {
                self.second = now.as_secs();
                return;
            }
            self.second += 1;
            self.counts.rotate_right(1);
            if let Some(count) = self.counts.first_mut() {
                *count = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn busy(throttle: &mut Throttle, now: Duration, requested: Option<Duration>) -> Hold {
        throttle.busy(now, now, requested)
    }

    /// Records the failures after which the ramp steps back.
    fn fail(throttle: &mut Throttle, now: Duration) {
        (0..STEP_BACK_AFTER).for_each(|_| throttle.failed(now));
    }

    #[test]
    fn endpoint_that_fails_a_tenth_of_its_events_regains_its_rate_after_a_pause() {
        let mut throttle = Throttle::default();
        throttle.resume(s(0));
        let mut now = s(0);
        for n in 0..6_000 {
            let Some(interval) = throttle.interval() else {
                break;
            };
            now += interval;
            if n % 10 == 0 {
                throttle.failed(now);
            } else {
                throttle.answered(now);
            }
        }
        assert_eq!(throttle.rate(), None);
        assert!(now < s(61), "{now:?}");
    }

    #[test]
    fn rate_after_a_pause_doubles_with_answers_and_halves_with_failures() {
        let mut throttle = Throttle::default();
        throttle.resume(s(0));
        assert_eq!(throttle.interval(), Some(Duration::from_millis(200)));
        for _ in 0..7 {
            throttle.answered(s(1));
        }
        assert!(throttle.rate().unwrap() > 9.8);
        fail(&mut throttle, s(1));
        assert!(throttle.rate().unwrap() < 5.0);
        for _ in 0..100 {
            throttle.failed(s(1));
        }
        assert_eq!(throttle.rate(), Some(LOWEST_FIRST_RATE));
        for _ in 0..3_000 {
            throttle.answered(s(2));
        }
        assert_eq!(throttle.rate(), None);
    }

    #[test]
    fn ramp_ends_after_a_minute_without_a_failure() {
        let mut throttle = Throttle::default();
        throttle.resume(s(0));
        throttle.answered(s(60));
        assert!(throttle.rate().is_some());
        fail(&mut throttle, s(60));
        throttle.answered(s(61));
        assert!(throttle.rate().is_some());
        throttle.answered(s(121));
        assert_eq!(throttle.rate(), None);
    }

    #[test]
    fn a_429_cuts_the_rate_below_what_the_endpoint_took() {
        let mut throttle = Throttle::default();
        for _ in 0..20 {
            throttle.answered(s(1));
        }
        let hold = busy(&mut throttle, s(1), None);
        assert_eq!((hold.time, hold.is_first), (s(1), true));
        assert_eq!(throttle.rate(), Some(17.0));
        // In flight at the cut: extends the hold only.
        let hold = throttle.busy(s(2), s(0), Some(s(3)));
        assert_eq!((hold.time, hold.is_first), (s(3), false));
        assert_eq!(throttle.rate(), Some(17.0));
        throttle.resume(s(10));
        assert_eq!(throttle.rate(), Some(17.0));
    }

    #[test]
    fn rate_after_the_first_429_is_a_guess_that_doubles() {
        let mut throttle = Throttle::default();
        busy(&mut throttle, s(1), None);
        assert_eq!(throttle.rate(), Some(0.85));
        for _ in 0..13 {
            throttle.answered(s(2));
        }
        assert!(throttle.rate().unwrap() > 9.0);
        busy(&mut throttle, s(3), None);
        let cut = throttle.rate().unwrap();
        throttle.answered(s(4));
        assert!(throttle.rate().unwrap() < cut + 0.1);
        assert_eq!(throttle.slowest(), Some(0.85));
    }

    #[test]
    fn rate_grows_slowly_to_the_last_one_and_faster_beyond() {
        let mut throttle = Throttle::default();
        for _ in 0..10 {
            throttle.answered(s(1));
        }
        busy(&mut throttle, s(1), None);
        busy(&mut throttle, s(2), None);
        let mut now = s(3);
        let mut seconds_to = |rate: f64| {
            let began = now;
            while throttle.rate().is_some_and(|current| current < rate) {
                now += throttle.interval().unwrap();
                throttle.answered(now);
            }
            (now - began).as_secs()
        };
        assert!((12..=17).contains(&seconds_to(9.0)));
        assert!((28..=40).contains(&seconds_to(200.0)));
    }

    #[test]
    fn hold_doubles_while_the_endpoint_takes_nothing_and_honours_a_request() {
        let mut throttle = Throttle::default();
        let holds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
            .map(|n| busy(&mut throttle, s(n * 1_000), None).time.as_secs());
        assert_eq!(holds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(
            busy(&mut throttle, s(20_000), Some(s(3_600))).time,
            s(3_600)
        );
        throttle.answered(s(20_000));
        assert_eq!(busy(&mut throttle, s(30_000), Some(s(2))).time, s(2));
        assert!(throttle.rate().unwrap() >= LOWEST_RATE);
    }
}
