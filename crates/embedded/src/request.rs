//! Requests to the store's thread.

use tokio::sync::oneshot;
use wahook_delivery_log::{LogUnavailable, WriteReport};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};
use wahook_queue::local::Command;

/// Request to the store's thread.
pub(crate) enum Request {
    Queue(Command),
    Write {
        results: Vec<AttemptResult>,
        answer: oneshot::Sender<Result<WriteReport, LogUnavailable>>,
    },
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
