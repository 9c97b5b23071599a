//! Spread of the retries of events that failed together.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use wahook_domain::{EventId, QueuedEvent, RetryRule};

/// Returns the additional wait before the attempt of an event.
pub(crate) fn spread_of(event: &QueuedEvent, rule: &RetryRule) -> Duration {
    rule.spread(event.attempt, share_of(&event.id))
}

/// Returns a number that differs between events.
fn share_of(id: &EventId) -> u16 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let [a, b, ..] = hasher.finish().to_le_bytes();
    u16::from_le_bytes([a, b])
}
