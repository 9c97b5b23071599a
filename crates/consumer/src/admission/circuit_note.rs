//! Start, reason and next probe of the pause by the circuit breaker.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use wahook_domain::UnixMillis;

/// Start and reason of the pause in effect, if there is one.
#[derive(Debug, Default)]
pub(super) struct CircuitNote(Mutex<Option<Noted>>);

/// Start and reason of a pause.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) since: UnixMillis,
    /// Error of the last attempt or probe.
    pub(super) reason: String,
    /// Next probe by the admission's clock, and the same moment by the wall clock.
    pub(super) probe: (Duration, UnixMillis),
}

impl CircuitNote {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
