//! Queued events and attempt numbers.

use std::{num::NonZeroU32, sync::Arc};

use crate::{
    body::{BodyForm, EventBody},
    event::EventName,
    id::EventId,
    order::OrderKey,
    origin::Origin,
    propagated::Propagated,
    time::UnixMillis,
};

/// Number of an attempt within its round, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptNumber(NonZeroU32);

impl AttemptNumber {
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// Returns `None` for 0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Returns the number of retries made so far, 0 at the first attempt.
    #[must_use]
    pub const fn retries(self) -> u32 {
        self.get() - 1
    }

    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Accepted event in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedEvent {
    pub id: EventId,
    pub name: EventName,
    /// Canonical body, or what a gateway posted.
    pub body: EventBody,
    /// Body as the gateway sent it, if it was kept and differs from the canonical one.
    pub exact: Option<EventBody>,
    /// Next attempt to make.
    pub attempt: AttemptNumber,
    /// Time at which the producer accepted the event.
    pub accepted_at: UnixMillis,
    /// Time of the last redrive from the dead letters, or of the last requeue for
    /// the same attempt after one that did not count.
    pub redriven_at: Option<UnixMillis>,
    /// Trace of the event (W3C Trace Context), if the gateway sent one.
    pub traceparent: Option<String>,
    /// Further context of the request, if the gateway sent any.
    pub propagated: Option<Arc<Propagated>>,
    /// Source, if a gateway posted the event in its own form.
    pub origin: Option<Arc<Origin>>,
    /// Key of the order in which events are delivered, if the sender or the chat gives one.
    pub key: Option<OrderKey>,
    /// Sent again at the request of an operator, whether or not it was delivered before.
    pub is_redelivery: bool,
    /// Number of automatic redrives after outages.
    pub auto_redrives: u8,
}

impl QueuedEvent {
    /// Creates an event before its first attempt, without context.
    #[must_use]
    pub const fn new(
        id: EventId,
        name: EventName,
        body: EventBody,
        accepted_at: UnixMillis,
    ) -> Self {
        Self {
            id,
            name,
            body,
            exact: None,
            attempt: AttemptNumber::FIRST,
            accepted_at,
            redriven_at: None,
            traceparent: None,
            propagated: None,
            origin: None,
            key: None,
            is_redelivery: false,
            auto_redrives: 0,
        }
    }

    /// Returns the body to sign and send in a form.
    #[must_use]
    pub fn body_in(&self, form: BodyForm) -> &EventBody {
        match form {
            BodyForm::Canonical => &self.body,
            BodyForm::Exact => self.carried_body(),
        }
    }

    /// Returns the body that messages of the event have: the canonical one can be derived
    /// from the exact one.
    #[must_use]
    pub fn carried_body(&self) -> &EventBody {
        self.exact.as_ref().unwrap_or(&self.body)
    }

    /// Returns the start of this round of attempts. Each round counts its attempts
    /// from 1. A round begins when the event is accepted and whenever it is redriven.
    /// An attempt that does not count also begins a round, which keeps its number.
    #[must_use]
    pub fn queued_at(&self) -> UnixMillis {
        self.redriven_at.unwrap_or(self.accepted_at)
    }

    /// Returns true before the first attempt, unless an operator requested it by a redrive.
    #[must_use]
    pub fn is_untried(&self) -> bool {
        self.attempt == AttemptNumber::FIRST && self.redriven_at.is_none()
    }
}
