//! Letters that a turn looks for (pure).

use std::sync::{Mutex, PoisonError};

use wahook_domain::{DeadDelivery, EndpointName, Recoveries, Recovery};
use wahook_queue::DeadLetter;

/// Endpoint that has its turn, and all recoveries whose letters are looked for.
pub(super) struct Search {
    pub(super) endpoint: EndpointName,
    pub(super) recovery: Recovery,
    /// Includes the endpoint's.
    due: Recoveries,
    /// Recoveries without a letter so far.
    without_letters: Mutex<Recoveries>,
}

impl Search {
    pub(super) fn new(endpoint: EndpointName, recovery: Recovery, due: Recoveries) -> Self {
        let without_letters = Mutex::new(due.clone());
        Self {
            endpoint,
            recovery,
            due,
            without_letters,
        }
    }

    /// Returns true for a letter of the endpoint's recovery. Notes letters of the others, which
    /// have their own turns.
    pub(super) fn selects(&self, letter: &DeadLetter) -> bool {
        let endpoint = letter.endpoint.as_ref();
        let found = endpoint.and_then(|endpoint| self.due.get_key_value(endpoint));
        let Some((endpoint, _)) = found.filter(|(_, recovery)| is_of(recovery, letter)) else {
            return false;
        };
        let without_letters = self.without_letters.lock();
        without_letters
            .unwrap_or_else(PoisonError::into_inner)
            .remove(endpoint);
        *endpoint == self.endpoint
    }

    pub(super) fn without_letters(&self) -> Recoveries {
        let without_letters = self.without_letters.lock();
        without_letters
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Returns true if a letter, which is of the endpoint, belongs to its recovery. Letters that the
/// broker moved by itself have no error of an attempt.
fn is_of(recovery: &Recovery, letter: &DeadLetter) -> bool {
    let Some((died_at, event)) = letter.died_at.zip(letter.content.as_ref().ok()) else {
        return false;
    };
    let dead = DeadDelivery {
        died_at,
        is_outage: letter.is_outage,
        reason: &letter.reason,
        auto_redrives: event.auto_redrives,
    };
    !letter.moved_by_broker && recovery.selects(&dead)
}
