//! Orders of operators for an endpoint.

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
