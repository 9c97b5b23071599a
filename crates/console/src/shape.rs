//! Deliveries as the API answers them; the names are those of the log (pure).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use wahook_delivery_log::{Ended, FoundDelivery, LoggedDelivery};
use wahook_domain::{Attempt, Status, UnixMillis, redaction::is_redacted};

use crate::sent;

/// Delivery in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    event_id: String,
    endpoint: String,
    /// Name of the event
    event: String,
    /// URL of the endpoint, without secrets
    webhook_url: String,
    /// `success`, `failed` or `retrying`
    status: &'static str,
    /// Status code of the last response
    status_code: Option<u16>,
    retry_count: u32,
    error_message: Option<String>,
    /// Time of acceptance
    created_at: String,
    updated_at: String,
    last_retry_at: Option<String>,
    completed_at: Option<String>,
    next_attempt_at: Option<String>,
    source: Option<String>,
    session: Option<String>,
    chat: Option<String>,
    message_id: Option<String>,
    attempt_count: usize,
}

/// Delivery with its content and attempts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Detail {
    #[serde(flatten)]
    delivery: Delivery,
    /// Time that the gateway gave the event
    timestamp: String,
    /// Data of the event, as the log stores it
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// Only present, and true, with CONSOLE_PAYLOADS=off
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    payload_hidden: bool,
    /// Reasons why the payload differs from the delivered one
    payload_altered: Option<Vec<String>>,
    /// All attempts, the oldest first
    attempts: Vec<AttemptShape>,
    /// Headers of the last attempt, without signatures
    headers: BTreeMap<&'static str, String>,
    /// Command that sends the event again, without signatures
    curl: String,
}

/// One request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt)]
pub(crate) struct AttemptShape {
    number: u32,
    started_at: String,
    duration_ms: i64,
    status_code: Option<u16>,
    error: Option<String>,
    next_attempt_at: Option<String>,
    webhook_url: String,
    /// Start of the receiver's answer, for failed attempts
    response: Option<String>,
    /// Only present, and true, if the attempt sent another event with the same id. `payload`,
    /// `headers` and `curl` are not of that event
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    other_event: bool,
}

impl From<FoundDelivery> for Delivery {
    fn from(found: FoundDelivery) -> Self {
        let time = UnixMillis::to_iso8601;
        Self {
            event_id: found.event_id.to_string(),
            endpoint: found.endpoint.to_string(),
            event: found.event,
            webhook_url: found.webhook_url,
            status: found.status.as_str(),
            status_code: found.status_code,
            retry_count: found.retry_count,
            error_message: found.error_message,
            created_at: time(found.created_at),
            updated_at: time(found.updated_at),
            last_retry_at: found.last_retry_at.map(time),
            completed_at: found.completed_at.map(time),
            next_attempt_at: found.next_attempt_at.map(time),
            source: found.source,
            session: found.session,
            chat: found.chat,
            message_id: found.message_id,
            attempt_count: found.attempt_count,
        }
    }
}

/// Delivery that has just ended. Its origin is not known here.
impl From<Ended> for Delivery {
    fn from(ended: Ended) -> Self {
        let status = if ended.delivered {
            Status::Success
        } else {
            Status::Failed
        };
        let retry_count = u32::try_from(ended.retry_count).unwrap_or_default();
        let ended_at = ended.ended_at.to_iso8601();
        Self {
            event_id: ended.event_id,
            endpoint: ended.endpoint,
            event: ended.event,
            webhook_url: ended.webhook_url,
            status: status.as_str(),
            status_code: ended.status_code.and_then(|code| code.try_into().ok()),
            retry_count,
            error_message: ended.error,
            created_at: ended.accepted_at.to_iso8601(),
            updated_at: ended_at.clone(),
            last_retry_at: None,
            completed_at: Some(ended_at),
            next_attempt_at: None,
            source: None,
            session: None,
            chat: None,
            message_id: None,
            attempt_count: usize::try_from(retry_count)
                .unwrap_or_default()
                .saturating_add(1),
        }
    }
}

impl Detail {
    /// Creates the answer; without payloads, neither the event's content nor answers of the
    /// receiver are in it.
    pub(crate) fn of(logged: LoggedDelivery, shows_payloads: bool) -> Self {
        let headers = sent::headers(&logged);
        let shown = logged.payload.as_deref().filter(|_| shows_payloads);
        let curl = sent::curl(&logged, &headers, shown);
        let attempts = logged.attempts.iter();
        let mut altered = logged.payload_altered;
        if logged.payload.as_deref().is_some_and(is_redacted) {
            altered.push("redacted".to_owned());
        }
        let payload = logged.payload.filter(|_| shows_payloads);
        Self {
            // Not copied: it may have 15 MiB.
            payload: payload.and_then(|text| RawValue::from_string(text).ok()),
            payload_hidden: !shows_payloads,
            payload_altered: Some(altered).filter(|reasons| !reasons.is_empty()),
            attempts: attempts
                .map(|attempt| AttemptShape::of(attempt, shows_payloads))
                .collect(),
            headers: headers.into_iter().collect(),
            curl,
            timestamp: logged.timestamp,
            delivery: logged.found.into(),
        }
    }
}

impl AttemptShape {
    fn of(attempt: &Attempt, shows_payloads: bool) -> Self {
        let response = attempt.response.as_deref().filter(|_| shows_payloads);
        Self {
            number: attempt.number.get(),
            started_at: attempt.started_at.to_iso8601(),
            duration_ms: attempt.duration_ms,
            status_code: attempt.status_code,
            error: attempt.error.clone(),
            next_attempt_at: attempt.next_attempt_at.map(UnixMillis::to_iso8601),
            webhook_url: attempt.webhook_url.to_string(),
            response: response.map(str::to_owned),
            other_event: attempt.other_event,
        }
    }
}
