//! Pause by the circuit breaker, as operators see it.

use std::time::Duration;

use wahook_domain::UnixMillis;
use wahook_operator_state::CircuitPause;
use wahook_runtime::clock;

use super::{Admission, circuit_note::Noted};

impl Admission {
    pub(super) fn set_paused(&self, is_paused: bool) {
        self.metrics.circuit_open.set(is_paused.into());
        self.pauses.set(|pauses| pauses.by_circuit = is_paused);
        if !is_paused {
            *self.circuit_note.lock() = None;
        }
    }

    /// Notes the error for which the endpoint is paused.
    pub(super) fn report_paused(&self, error: &str) {
        let probe = clock::now().plus(self.until_next()).to_iso8601();
        self.check.set_noted(format!(
            "paused, events wait in the queue: {error}; next probe at {probe}"
        ));
        let mut note = self.circuit_note.lock();
        // The circuit may have closed meanwhile.
        if self.pauses.now().by_circuit {
            let noted = note.get_or_insert_with(|| Noted {
                since: clock::now(),
                reason: String::new(),
                probe: (Duration::ZERO, UnixMillis::new(0)),
            });
            error.clone_into(&mut noted.reason);
        }
    }

    /// Returns the pause by the circuit breaker, if it is in effect. The time of the next probe
    /// differs only if the probe was moved.
    pub(crate) fn circuit_pause(&self) -> Option<CircuitPause> {
        let probe_at = self.state().rules.probe_at()?;
        let mut note = self.circuit_note.lock();
        let noted = note.as_mut()?;
        if noted.probe.0 != probe_at {
            let wait = probe_at.saturating_sub(self.now());
            noted.probe = (probe_at, clock::now().plus(wait));
        }
        Some(CircuitPause {
            endpoint: self.name.clone(),
            since: noted.since,
            next_probe: noted.probe.1,
            reason: noted.reason.clone(),
        })
    }
}
