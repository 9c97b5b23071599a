//! Messages for parking slots.

use bytes::Bytes;
use wahook_domain::{EventId, QueuedEvent};

use super::{metadata::MessageMetadata, outgoing::Outgoing, parked::Parked};

impl Outgoing {
    /// Creates the message that moves an event of a lane to a parking slot, unchanged.
    #[must_use]
    pub fn parked(event: &QueuedEvent, slot: &str, behind: EventId, may_repeat: bool) -> Self {
        let metadata = MessageMetadata {
            parked: Some(Parked::Event { behind, may_repeat }),
            ..MessageMetadata::from(event)
        };
        Self::to_queue(slot.to_owned(), metadata, event.carried_body().bytes())
    }

    /// Creates a marker for a lane or a parking slot.
    #[must_use]
    pub fn marker(queue: &str, token: EventId) -> Self {
        let metadata = MessageMetadata {
            id: Some(token),
            parked: Some(Parked::Marker),
            ..MessageMetadata::default()
        };
        Self::to_queue(queue.to_owned(), metadata, Bytes::new())
    }

    /// Returns the message of an event that may be in its slot already.
    #[must_use]
    pub fn repeated(mut self) -> Self {
        if let Some(Parked::Event { may_repeat, .. }) = &mut self.metadata.parked {
            *may_repeat = true;
        }
        self
    }
}
