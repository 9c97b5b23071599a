//! Orders of operators for an endpoint.

use std::{collections::BTreeMap, future::pending};

use tokio::sync::watch;
use wahook_domain::{EventId, QueuedEvent};
use wahook_operator_state::Pause;

use super::Admission;

impl Admission {
    /// Pauses the endpoint for an operator, or ends that pause.
    pub(crate) fn set_operator_pause(&self, pause: Option<&Pause>) {
        let note = pause.map(|pause| format!("paused {pause}; events wait in the queue"));
        self.check.set_operator_note(note);
        self.metrics.paused.set(pause.is_some().into());
        let is_new = self
            .pauses
            .set(|pauses| pauses.by_operator = pause.is_some());
        if !is_new {
            return;
        }
        let endpoint = &self.name;
        if let Some(Pause { by, since, reason }) = pause {
            let (since, reason) = (since.to_iso8601(), reason.as_ref().map(ToString::to_string));
            let reason = reason.unwrap_or_default();
            tracing::warn!(%endpoint, by, since, reason, "endpoint paused by an operator, events wait in the queue");
        } else {
            tracing::info!(%endpoint, "endpoint resumed by an operator");
        }
    }

    /// Makes the next probe due at once, if the circuit is open.
    pub(crate) fn probe_at_once(&self) {
        let now = self.now();
        let is_open = self.state().rules.probe_at_once(now);
        self.pauses.probe_moved();
        let endpoint = &self.name;
        if is_open {
            tracing::info!(%endpoint, "probe requested by an operator");
        } else {
            tracing::info!(%endpoint, "probe requested by an operator, but the circuit is closed");
        }
    }

    /// Sets the events that operators have given up, each with its operator.
    pub(crate) fn set_give_ups(&self, give_ups: &BTreeMap<EventId, String>) {
        self.give_ups.send_if_modified(|known| {
            let is_new = known != give_ups;
            if is_new {
                known.clone_from(give_ups);
            }
            is_new
        });
    }

    /// Returns the events that operators have given up, to watch.
    pub(crate) fn give_ups(&self) -> watch::Receiver<BTreeMap<EventId, String>> {
        self.give_ups.subscribe()
    }

    /// Waits until an operator has given the event up, and returns the operator. Indefinitely
    /// before the first attempt, which has to fail first.
    pub(crate) async fn given_up(&self, event: &QueuedEvent) -> String {
        if event.is_untried() {
            return pending().await;
        }
        let mut give_ups = self.give_ups();
        // Cannot fail: `self` owns the sender.
        let found = give_ups
            .wait_for(|known| known.contains_key(&event.id))
            .await;
        let by = found.ok().and_then(|known| known.get(&event.id).cloned());
        by.unwrap_or_default()
    }

    /// Returns true while an operator has paused the endpoint: nothing is sent.
    pub(crate) fn is_paused_by_operator(&self) -> bool {
        self.pauses.now().by_operator
    }

    /// Waits until an operator has paused the endpoint.
    pub(crate) async fn until_paused_by_operator(&self) {
        self.pauses.until(|pauses| pauses.by_operator).await;
    }

    /// Waits until no operator has paused the endpoint.
    pub(crate) async fn until_resumed_by_operator(&self) {
        self.pauses.until(|pauses| !pauses.by_operator).await;
    }
}
