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
use wahook_domain::LaneCount;

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
    pub(super) fn poll(&self, lanes: LaneCount, members: u32) {
        let mut state = self.state();
        if state.owned.len() <= lanes.share(members) {
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

    fn lanes(count: u8) -> LaneCount {
        LaneCount::new(count).unwrap()
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
        balance.poll(lanes(12), 3);
        assert_eq!(released(&owned), [0; 0]);
        for last in (4..12).rev() {
            balance.poll(lanes(12), 3);
            assert_eq!(released(&owned), [last]);
            owned.truncate(last);
        }
        balance.poll(lanes(12), 3);
        assert_eq!(released(&owned), [0; 0]);
    }

    #[test]
    fn only_consumer_keeps_all_lanes_also_while_no_consumer_is_counted() {
        let balance = Arc::new(Balance::default());
        let owned: Vec<_> = (0..4).map(|lane| balance.own(lane)).collect();
        for members in [0, 1, 1, 0, 0] {
            balance.poll(lanes(4), members);
        }
        assert_eq!(released(&owned), [0; 0]);
    }
}
