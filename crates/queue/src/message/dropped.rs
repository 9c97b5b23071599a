//! Dead letters of an endpoint that was removed.

use wahook_domain::{EndpointName, QueuedEvent, UnixMillis};

use super::{
    metadata::{Death, MessageMetadata},
    outgoing::Outgoing,
};
use crate::topology;

/// Reason of a [`Death`] by an operator's command.
pub const DROPPED: &str = "dropped";

impl Outgoing {
    /// Creates the dead letter of an event that was dropped with its endpoint. As for
    /// a message that the broker moves, no attempt failed, so the log need not have a
    /// record.
    #[must_use]
    pub fn dropped(
        event: &QueuedEvent,
        endpoint: &EndpointName,
        reason: &str,
        now: UnixMillis,
    ) -> Self {
        let metadata = MessageMetadata {
            endpoint: Some(endpoint.clone()),
            reason: Some(reason.to_owned()),
            death: Some(Death {
                queue: Some(topology::work_queue(endpoint)),
                reason: DROPPED.to_owned(),
                at: Some(now),
            }),
            ..MessageMetadata::from(event)
        };
        Self::to_queue(
            topology::DEAD_QUEUE.into(),
            metadata,
            event.carried_body().bytes(),
        )
    }
}
