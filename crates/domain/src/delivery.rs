//! An event on its way to an endpoint.

use std::num::NonZeroU32;

use crate::{body::CanonicalBody, event::EventName, id::EventId, time::UnixMillis};

/// Which attempt of a delivery: 1 is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptNumber(NonZeroU32);

impl AttemptNumber {
    /// The first.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// None for 0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Counted from 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The retries made so far: none at the first attempt.
    #[must_use]
    pub const fn retries(self) -> u32 {
        self.get() - 1
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// An accepted event as it travels through the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedEvent {
    /// Names the event everywhere.
    pub id: EventId,
    /// Its kind.
    pub name: EventName,
    /// The bytes that are signed and sent.
    pub body: CanonicalBody,
    /// The attempt that is to be made.
    pub attempt: AttemptNumber,
    /// When the producer accepted it.
    pub accepted_at: UnixMillis,
    /// When it was last taken out of the dead letters to be attempted anew, or
    /// put back for the same attempt after one that did not count.
    pub redriven_at: Option<UnixMillis>,
    /// The trace it belongs to (W3C Trace Context), where the gateway named one.
    pub traceparent: Option<String>,
}

impl QueuedEvent {
    /// When this round of attempts began. Each round counts its attempts from 1:
    /// one begins when the event is accepted, another whenever it is redriven. An
    /// attempt that does not count begins one too, which goes on with its number.
    #[must_use]
    pub fn queued_at(&self) -> UnixMillis {
        self.redriven_at.unwrap_or(self.accepted_at)
    }
}
