//! Comparison of a result with the record that its delivery has.

use wahook_domain::{AttemptResult, DeliveryRecord, Redaction, redaction::erased_payload};
use wahook_sources::LoggedBody;

use crate::payload::logged_payload;

/// Returns true if the record, with this payload, has the name or payload of another event than
/// the result. An erased record has no payload to compare.
pub(crate) fn sent_by(
    known: &DeliveryRecord,
    payload: &str,
    result: &AttemptResult,
    redaction: Option<&Redaction>,
) -> bool {
    if known.event != result.event {
        return true;
    }
    let body = LoggedBody::of(result);
    let sent = logged_payload(&body.parse(), result, redaction);
    payload != sent && payload != erased_payload()
}
