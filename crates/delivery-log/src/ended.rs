//! Deliveries that ended.

use std::error::Error as StdError;

use thiserror::Error;
use wahook_domain::UnixMillis;

use crate::LogUnavailable;

/// Delivery that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub event_id: String,
    /// Name of the event.
    pub event: String,
    /// Name of the endpoint.
    pub endpoint: String,
    /// URL of the endpoint, without secrets.
    pub webhook_url: String,
    /// True if delivered, false if failed for good.
    pub delivered: bool,
    /// Status code of the last response, if there was one.
    pub status_code: Option<i32>,
    /// Retries since the event was accepted or last redriven.
    pub retry_count: i32,
    /// Error of the last attempt.
    pub error: Option<String>,
    /// Time at which the event was accepted.
    pub accepted_at: UnixMillis,
    /// Time at which the delivery ended.
    pub ended_at: UnixMillis,
    /// True if another event used the same id and its attempts are in the record.
    pub other_event: bool,
}

/// Filter for deliveries; an empty list matches all.
#[derive(Debug, Clone, Default)]
pub struct EndedFilter {
    /// Names of events.
    pub events: Vec<String>,
    /// Names of endpoints.
    pub endpoints: Vec<String>,
    /// `Some(true)` matches delivered events, `Some(false)` failed ones.
    pub delivered: Option<bool>,
}

/// Error while following deliveries.
#[derive(Debug, Error)]
pub enum FollowError {
    /// Temporary error; the next call continues from the same position.
    #[error(transparent)]
    Log(#[from] LogUnavailable),
    /// The log can't be followed, or not from this position.
    #[error(transparent)]
    Impossible(Box<dyn StdError + Send + Sync>),
}
