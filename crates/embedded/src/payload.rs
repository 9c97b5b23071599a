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
    printed(redacted.as_ref().unwrap_or(&event.payload))
}

/// Returns a value as canonical JSON.
pub(crate) fn printed(node: &Node<'_>) -> String {
    let mut printed = Vec::new();
    json::print(node, &mut printed);
    String::from_utf8_lossy(&printed).into_owned()
}
