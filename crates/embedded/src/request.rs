//! Requests to the store's thread.

use std::sync::Arc;

use tokio::sync::oneshot;
use wahook_delivery_log::{LogUnavailable, WriteReport};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId, Redaction};
use wahook_queue::local::Command;

/// Request to the store's thread.
pub(crate) enum Request {
    Queue(Command),
    Write(Writing),
    Find {
        id: EventId,
        endpoint: EndpointName,
        answer: oneshot::Sender<Result<Option<DeliveryRecord>, LogUnavailable>>,
    },
    Retain {
        days: Option<u32>,
        answer: oneshot::Sender<Result<(), LogUnavailable>>,
    },
    Ping(oneshot::Sender<Result<(), LogUnavailable>>),
    Stop,
}

/// Results for the log.
pub(crate) struct Writing {
    pub(crate) results: Vec<AttemptResult>,
    /// Values that the records do not keep.
    pub(crate) redaction: Option<Arc<Redaction>>,
    pub(crate) answer: oneshot::Sender<Result<WriteReport, LogUnavailable>>,
}
