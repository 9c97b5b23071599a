//! Payload of an event as the log stores it.

use wahook_domain::{
    AttemptResult, Redaction,
    json::{self, Node},
};
use wahook_sources::LoggedEvent;

/// Returns the payload without the values that the log does not keep, as JSON.
pub(crate) fn logged_payload(
    event: &LoggedEvent<'_>,
    result: &AttemptResult,
    redaction: Option<&Redaction>,
) -> String {
    let redacted = redaction.and_then(|rules| rules.redacted(&result.event, &event.payload));
    let payload = redacted.as_ref().unwrap_or(&event.payload);
    printed_in(payload, Vec::with_capacity(result.body.len()))
}

/// Returns a value as canonical JSON.
pub(crate) fn printed(node: &Node<'_>) -> String {
    printed_in(node, Vec::new())
}

/// Returns a value as canonical JSON, in this empty buffer.
fn printed_in(node: &Node<'_>, mut printed: Vec<u8>) -> String {
    json::print(node, &mut printed);
    // Cannot fail: the parts of a value are texts.
    String::from_utf8(printed).unwrap_or_default()
}
