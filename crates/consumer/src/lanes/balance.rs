//! Balance: lanes move from consumers that own many to those that own few.
//!
//! The broker gives a lane to the consumer that subscribed first, so one that starts first
//! gets all. An owner of more than its share gives up one lane after another and subscribes
//! again, which puts it behind the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Polls after which a surplus counts: 1.5 s. A consumer that just started is counted before it
/// has subscribed to the lanes.
const SURPLUS_POLLS: u32 = 4;
/// Pause after a lane that was given up came back: not every counted consumer competes for
/// the lanes, such as one with other settings during an update.
const REST: Duration = Duration::from_secs(10);
/// Time within which such a lane comes back. Later, another consumer has had it and has given
/// it up or died.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// Time for which a new owner keeps a lane: the lease of the former owner, for which its events
/// wait, and the start of their attempts. Given up earlier, they would wait once more.
const KEPT_FOR: Duration = Duration::from_secs(2);

/// Lanes of one endpoint that this consumer owns.
#[derive(Default)]
pub(super) struct Balance {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Owned lanes by number.
    owned: BTreeMap<usize, OwnedLane>,
    /// Polls in succession that have found a surplus.
    surplus_polls: u32,
    /// Owned lanes that must be given up.
    releasing: BTreeSet<usize>,
    /// Lanes that were given up, with the end of their ownership.
    given_up: BTreeMap<usize, Instant>,
    /// Time until which no lane is given up.
    rest_until: Option<Instant>,
}

struct OwnedLane {
    since: Instant,
    /// Signal to give it up.
    release: Arc<Notify>,
}

/// Ownership of a lane, from its first message until this is dropped.
pub(super) struct Owned {
    balance: Arc<Balance>,
    lane: usize,
    release: Arc<Notify>,
}

impl Balance {
    /// Records that this consumer owns a lane. The first message is the only notice.
    pub(super) fn own(self: &Arc<Self>, lane: usize) -> Owned {
        let release = Arc::new(Notify::new());
        let mut state = self.state();
        let given_up = state.given_up.remove(&lane);
        if given_up.is_some_and(|at| at.elapsed() < BACK_WITHIN) {
            // No other consumer has taken it.
            state.rest_until = Some(Instant::now() + REST);
        }
        let owned = OwnedLane {
            since: Instant::now(),
            release: Arc::clone(&release),
        };
        state.owned.insert(lane, owned);
        drop(state);
        Owned {
            balance: Arc::clone(self),
            lane,
            release,
        }
    }

    /// Gives up one lane if this consumer owns more than its share among `members`.
    ///
    /// Earlier lanes, whose numbers are not below `lanes`, do not count: they are empty soon.
    pub(super) fn poll(&self, lanes: usize, members: u32) {
        let mut state = self.state();
        if state.owned.range(..lanes).count() <= share(lanes, members) {
            state.surplus_polls = 0;
            return;
        }
        state.surplus_polls += 1;
        let is_resting = state.rest_until.is_some_and(|end| Instant::now() < end);
        if state.surplus_polls < SURPLUS_POLLS || is_resting {
            return;
        }
        let mut owned = state.owned.range(..lanes);
        let last = owned.rfind(|(_, owned)| owned.since.elapsed() >= KEPT_FOR);
        if let Some((lane, owned)) = last {
            let lane = *lane;
            owned.release.notify_one();
            state.releasing.insert(lane);
        }
    }

    /// Returns true if this consumer owns the lane.
    pub(super) fn owns(&self, lane: usize) -> bool {
        self.state().owned.contains_key(&lane)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the largest number of lanes that one of so many consumers should own.
fn share(lanes: usize, consumers: u32) -> usize {
    let consumers = usize::try_from(consumers).unwrap_or(usize::MAX);
    lanes.div_ceil(consumers.max(1))
}

impl Owned {
    /// Waits until the lane must be given up.
    pub(super) async fn released(&self) {
        self.release.notified().await;
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let mut state = self.balance.state();
        state.owned.remove(&self.lane);
        if state.releasing.remove(&self.lane) {
            state.given_up.insert(self.lane, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn lane_that_comes_back_is_kept_for_a_while_and_earlier_lanes_do_not_count() {
        let balance = Arc::new(Balance::default());
        let mut owned: Vec<_> = [0, 1, 64, 65].map(|lane| balance.own(lane)).into();
        advance(KEPT_FOR).await;
        for _ in 0..SURPLUS_POLLS {
            balance.poll(2, 2);
        }
        assert_eq!(released(&owned), [1]);
        owned.remove(1);
        owned.push(balance.own(1));
        for _ in 0..2 * SURPLUS_POLLS {
            balance.poll(2, 2);
        }
        assert_eq!(released(&owned), [0; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn lane_that_comes_back_from_another_consumer_is_given_up_again() {
        let balance = Arc::new(Balance::default());
        let mut owned: Vec<_> = [0, 1].map(|lane| balance.own(lane)).into();
        advance(KEPT_FOR).await;
        for _ in 0..SURPLUS_POLLS {
            balance.poll(2, 2);
        }
        assert_eq!(released(&owned), [1]);
        owned.pop();
        advance(BACK_WITHIN).await;
        owned.push(balance.own(1));
        advance(KEPT_FOR).await;
        balance.poll(2, 2);
        assert_eq!(released(&owned), [1]);
    }

    #[test]
    fn lanes_are_shared_among_consumers() {
        let shares = [0, 1, 2, 3, 5, 20].map(|consumers| share(12, consumers));
        assert_eq!(shares, [12, 12, 6, 4, 3, 1]);
    }

    /// Returns the lanes that must be given up.
    fn released(owned: &[Owned]) -> Vec<usize> {
        let must = |lane: &&Owned| lane.released().now_or_never().is_some();
        owned.iter().filter(must).map(|lane| lane.lane).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn surplus_is_given_up_one_lane_after_another_once_some_polls_have_found_it() {
        let balance = Arc::new(Balance::default());
        let mut owned: Vec<_> = (0..12).map(|lane| balance.own(lane)).collect();
        advance(KEPT_FOR).await;
        for _ in 1..SURPLUS_POLLS {
            balance.poll(12, 3);
            assert_eq!(released(&owned), [0; 0]);
        }
        for last in (4..12).rev() {
            balance.poll(12, 3);
            assert_eq!(released(&owned), [last]);
            owned.truncate(last);
        }
        balance.poll(12, 3);
        assert_eq!(released(&owned), [0; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn new_lane_is_given_up_only_once_its_redelivered_events_have_started() {
        let balance = Arc::new(Balance::default());
        let mut owned: Vec<_> = [0, 1].map(|lane| balance.own(lane)).into();
        advance(KEPT_FOR).await;
        owned.extend([2, 3].map(|lane| balance.own(lane)));
        for _ in 0..SURPLUS_POLLS {
            balance.poll(4, 2);
        }
        assert_eq!(released(&owned), [1]);
        owned.remove(1);
        advance(KEPT_FOR).await;
        balance.poll(4, 2);
        assert_eq!(released(&owned), [3]);
    }

    #[test]
    fn only_consumer_keeps_all_lanes_also_while_no_consumer_is_counted() {
        let balance = Arc::new(Balance::default());
        let owned: Vec<_> = (0..4).map(|lane| balance.own(lane)).collect();
        for members in [0, 1, 1, 0, 0] {
            balance.poll(4, members);
        }
        assert_eq!(released(&owned), [0; 0]);
    }
}
