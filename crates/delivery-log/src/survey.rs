//! State of records, without payloads.

use wahook_domain::{DeliveryRecord, EndpointName, EventId};

/// State of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Surveyed {
    /// Delivered; this state is final.
    Delivered(EventId, EndpointName),
    /// Not (yet) delivered. The record contains only its last attempt, which
    /// determines its state.
    Open(DeliveryRecord),
    /// Not a delivery record: users may store their own records in the log.
    Foreign,
}
