//! What operators have set, as it was last read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use wahook_domain::EndpointName;
use wahook_operator_state::{EndpointState, Pause};

/// States of endpoints by name.
pub(crate) type States = BTreeMap<EndpointName, EndpointState>;

/// States that were last read, `None` before the first read. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct KnownStates(Arc<Mutex<Option<States>>>);

impl KnownStates {
    /// Returns the pause of an endpoint.
    pub(crate) fn pause_of(&self, endpoint: &EndpointName) -> Option<Pause> {
        self.lock().as_ref()?.get(endpoint)?.pause.clone()
    }

    /// Replaces the states. Returns those before.
    pub(crate) fn replace(&self, states: States) -> Option<States> {
        self.lock().replace(states)
    }

    fn lock(&self) -> MutexGuard<'_, Option<States>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
