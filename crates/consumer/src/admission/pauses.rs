//! Pauses of an endpoint, by its circuit breaker and by an operator.

use tokio::sync::watch;

/// Pauses in effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pauses {
    /// The circuit is open: only probes are sent.
    pub(super) by_circuit: bool,
    /// An operator has paused the endpoint: nothing is sent.
    pub(super) by_operator: bool,
}

impl Pauses {
    /// Returns true if no delivery may start.
    pub(super) const fn is_any(self) -> bool {
        self.by_circuit || self.by_operator
    }

    /// Returns true if probes may be sent.
    pub(super) const fn is_probed(self) -> bool {
        self.by_circuit && !self.by_operator
    }
}

/// Pauses in effect, which tasks wait for.
#[derive(Debug, Default)]
pub(super) struct PauseState(watch::Sender<Pauses>);

impl PauseState {
    pub(super) fn now(&self) -> Pauses {
        *self.0.borrow()
    }

    /// Changes the pauses. Returns true if they differ from before.
    pub(super) fn set(&self, change: impl FnOnce(&mut Pauses)) -> bool {
        self.0.send_if_modified(|pauses| {
            let before = *pauses;
            change(pauses);
            *pauses != before
        })
    }

    /// Wakes the tasks that wait for the next probe, whose time has changed.
    pub(super) fn probe_moved(&self) {
        self.0.send_modify(|_| {});
    }

    /// Returns a receiver of changes, and of [`Self::probe_moved`].
    pub(super) fn changes(&self) -> watch::Receiver<Pauses> {
        self.0.subscribe()
    }

    /// Waits until the pauses satisfy `is_awaited`.
    pub(super) async fn until(&self, is_awaited: impl FnMut(&Pauses) -> bool) {
        // Cannot fail: `self` owns the sender.
        let _ = self.changes().wait_for(is_awaited).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn either_pause_stops_deliveries_and_the_operators_stops_probes() {
        let pauses = PauseState::default();
        assert_eq!(pauses.now(), Pauses::default());
        for (by_circuit, by_operator, is_any, is_probed) in [
            (true, false, true, true),
            (true, true, true, false),
            (false, true, true, false),
            (false, false, false, false),
        ] {
            let next = Pauses {
                by_circuit,
                by_operator,
            };
            assert!(pauses.set(|now| *now = next), "{next:?}");
            assert!(!pauses.set(|now| *now = next), "{next:?} is no change");
            assert_eq!((next.is_any(), next.is_probed()), (is_any, is_probed));
            pauses.until(|now| *now == next).await;
        }
    }

    #[tokio::test]
    async fn moved_probe_wakes_waiting_tasks_without_a_change() {
        let pauses = PauseState::default();
        let mut changes = pauses.changes();
        pauses.probe_moved();
        assert!(changes.has_changed().unwrap());
        assert_eq!(*changes.borrow_and_update(), Pauses::default());
    }
}
