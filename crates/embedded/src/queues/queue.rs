//! State of one queue in memory.

use std::collections::VecDeque;

use tokio::sync::mpsc::UnboundedSender;
use wahook_queue::{
    Stored,
    local::{Delivered, SharedQueue, SubscriberId, Tag},
};

/// Maximum number of ready messages per queue in memory. More stay in the file.
const MAX_READY: usize = 2_000;
/// Maximum bytes of ready messages per queue in memory.
const MAX_READY_BYTES: usize = 16 << 20;

/// Message that is ready for delivery.
pub(crate) struct Ready {
    pub(crate) seq: i64,
    pub(crate) message: Stored,
    pub(crate) redelivered: bool,
}

pub(super) struct Queue {
    pub(super) ready: VecDeque<Ready>,
    pub(super) ready_bytes: usize,
    /// Last message that was loaded; messages after it are still in the file only.
    pub(super) cursor: i64,
    /// True if there may be such messages.
    pub(super) has_more: bool,
    pub(super) subscribers: VecDeque<Subscribed>,
    /// Messages of an ended subscription to a lane that are not back in their places.
    pub(super) returning: usize,
}

pub(super) struct Subscribed {
    pub(super) id: SubscriberId,
    pub(super) free: usize,
    pub(super) is_single_active: bool,
    pub(super) messages: UnboundedSender<Delivered>,
}

/// Initial state of a queue, which may have messages in the file.
impl Default for Queue {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            ready_bytes: 0,
            cursor: 0,
            has_more: true,
            subscribers: VecDeque::new(),
            returning: 0,
        }
    }
}

impl Queue {
    pub(super) fn push(&mut self, ready: Ready) {
        self.ready_bytes += ready.message.payload.len();
        self.ready.push_back(ready);
    }

    pub(super) fn pop(&mut self) -> Option<Ready> {
        let ready = self.ready.pop_front()?;
        self.ready_bytes -= ready.message.payload.len();
        Some(ready)
    }

    /// Returns the position of the subscriber for the next message. In a lane, only the
    /// first one receives any.
    pub(super) fn next_subscriber(&self) -> Option<usize> {
        match self.subscribers.front() {
            Some(first) if first.is_single_active => {
                (self.returning == 0 && first.has_capacity()).then_some(0)
            }
            _ => self.subscribers.iter().position(Subscribed::has_capacity),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.ready.len() >= MAX_READY || self.ready_bytes >= MAX_READY_BYTES
    }
}

impl Ready {
    pub(super) fn delivered(self, shared: &SharedQueue) -> Delivered {
        let tag = Tag(self.seq);
        Delivered::new(
            self.message,
            self.redelivered,
            tag,
            SharedQueue::clone(shared),
        )
    }
}

impl Subscribed {
    pub(super) fn has_capacity(&self) -> bool {
        self.free > 0
    }
}
