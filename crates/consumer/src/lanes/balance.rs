//! Balance: lanes move from consumers that own many to those that own few.
//!
//! The broker gives a lane to the consumer that subscribed first, so one that starts first
//! gets all. An owner of more than its share gives up one lane after another and subscribes
//! again, which puts it behind the others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Polls after which a surplus counts. A consumer that just started is known to the others
/// only after their next poll.
const SURPLUS_POLLS: u32 = 2;

/// Lanes of one endpoint that this consumer owns.
#[derive(Default)]
pub(super) struct Balance {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Owned lanes by number, each with the signal to give it up.
    owned: BTreeMap<usize, Arc<Notify>>,
    /// Polls in succession that have found a surplus.
    surplus_polls: u32,
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
        self.state().owned.insert(lane, Arc::clone(&release));
        Owned {
            balance: Arc::clone(self),
            lane,
            release,
        }
    }

    /// Gives up one lane if this consumer owns more than its share among `members`.
    pub(super) fn poll(&self, lanes: u32, members: u32) {
        let mut state = self.state();
        if state.owned.len() <= share(lanes, members) {
            state.surplus_polls = 0;
            return;
        }
        state.surplus_polls += 1;
        if state.surplus_polls >= SURPLUS_POLLS
            && let Some((_, release)) = state.owned.last_key_value()
        {
            release.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the largest number of lanes that one of so many consumers should own.
fn share(lanes: u32, consumers: u32) -> usize {
    let share = lanes.div_ceil(consumers.max(1));
    usize::try_from(share).unwrap_or(usize::MAX)
}

impl Owned {
    /// Waits until the lane must be given up.
    pub(super) async fn released(&self) {
        self.release.notified().await;
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.balance.state().owned.remove(&self.lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

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

    #[test]
    fn surplus_is_given_up_one_lane_after_another_once_two_polls_have_found_it() {
        let balance = Arc::new(Balance::default());
        let mut owned: Vec<_> = (0..12).map(|lane| balance.own(lane)).collect();
        balance.poll(12, 3);
        assert_eq!(released(&owned), [0; 0]);
        for last in (4..12).rev() {
            balance.poll(12, 3);
            assert_eq!(released(&owned), [last]);
            owned.truncate(last);
        }
        balance.poll(12, 3);
        assert_eq!(released(&owned), [0; 0]);
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
