//! Balance of one endpoint's lanes among the consumers, by the rules of [`LaneBalance`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, time::Instant};
use wahook_domain::LaneBalance;

/// Lanes of one endpoint that this consumer owns.
pub(super) struct Balance {
    /// Origin of the times.
    start: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lanes: LaneBalance,
    /// Signals to give up the owned lanes, by their numbers.
    releases: BTreeMap<usize, Arc<Notify>>,
}

/// Ownership of a lane, from its first message until this is dropped.
pub(super) struct Owned {
    balance: Arc<Balance>,
    lane: usize,
    release: Arc<Notify>,
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            state: Mutex::default(),
        }
    }
}

impl Balance {
    /// Records that this consumer owns a lane. The first message is the only notice.
    pub(super) fn own(self: &Arc<Self>, lane: usize) -> Owned {
        let release = Arc::new(Notify::new());
        let mut state = self.state();
        state.lanes.own(lane, self.start.elapsed());
        state.releases.insert(lane, Arc::clone(&release));
        drop(state);
        Owned {
            balance: Arc::clone(self),
            lane,
            release,
        }
    }

    /// Gives up one lane if this consumer owns more than its share among `members`.
    ///
    /// Earlier lanes, whose numbers are not below `lanes`, do not count.
    pub(super) fn poll(&self, lanes: usize, members: u32) {
        let mut state = self.state();
        if let Some(lane) = state.lanes.poll(lanes, members, self.start.elapsed())
            && let Some(release) = state.releases.get(&lane)
        {
            release.notify_one();
        }
    }

    /// Returns true if this consumer owns the lane.
    pub(super) fn owns(&self, lane: usize) -> bool {
        self.state().lanes.owns(lane)
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
        let mut state = self.balance.state();
        state.releases.remove(&self.lane);
        state.lanes.end(self.lane, self.balance.start.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::time::Duration;
    use tokio::time::advance;

    /// Polls until a surplus counts.
    fn poll(balance: &Balance) {
        (0..4).for_each(|_| balance.poll(2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn lane_to_give_up_is_signalled_to_its_owner_once() {
        let balance = Arc::new(Balance::default());
        let [first, second] = [0, 1].map(|lane| balance.own(lane));
        advance(Duration::from_secs(2)).await;
        poll(&balance);
        assert_eq!(second.released().now_or_never(), Some(()));
        poll(&balance);
        assert_eq!(second.released().now_or_never(), None);
        drop(second);
        assert!(balance.owns(0) && !balance.owns(1));
        // It comes back at once, and is kept for some time.
        let second = balance.own(1);
        advance(Duration::from_millis(900)).await;
        poll(&balance);
        advance(Duration::from_secs(2)).await;
        poll(&balance);
        assert_eq!(second.released().now_or_never(), Some(()));
        assert_eq!(first.released().now_or_never(), None);
    }
}
