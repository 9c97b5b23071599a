//! Timestamps that give a line the same id each time it is sent.
//!
//! The producer derives the id of an event with a `timestamp` from its body. An event
//! without one gets the current time and a new id. So an import adds a timestamp to each
//! event without one. The timestamp depends only on the start of the import and the number
//! of the line: one microsecond more per line, so that two equal lines are two events.

use jiff::Timestamp;
use wahook_domain::{
    UnixMillis,
    json::{self, Node},
};

/// Length that a timestamp adds to a line, in bytes.
pub(super) const STAMP_BYTES: usize = r#","timestamp":"2024-10-01T12:00:00.000000Z""#.len();

/// Returns true if the line is an event to which the producer would add the current time.
pub(super) fn needs_stamp(line: &[u8]) -> bool {
    match json::parse(line) {
        Ok(Node::Object(members)) => {
            !members.is_empty() && matches!(members.get("timestamp"), None | Some(Node::Null))
        }
        // Sent unchanged: the producer rejects it with the offset of the fault.
        _ => false,
    }
}

/// Appends the line with a timestamp to `sent`. The last of two members with the same name
/// counts, so a `null` before it is ignored; the producer names it in a warning.
pub(super) fn append_stamped(sent: &mut Vec<u8>, line: &[u8], begun_at: UnixMillis, number: u64) {
    let line = line.trim_ascii();
    sent.extend_from_slice(line.strip_suffix(b"}").unwrap_or(line));
    let time = time(begun_at, number);
    sent.extend_from_slice(format!(r#","timestamp":"{time}"}}"#).as_bytes());
}

fn time(begun_at: UnixMillis, number: u64) -> String {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let begun_at = begun_at.get().saturating_mul(1_000);
    let micros = begun_at.saturating_add(number);
    let time = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::{AcceptedEvent, EventId, Ingest, Validation, ingest};

    const NOON: UnixMillis = UnixMillis::new(1_727_784_000_000);

    fn stamped(line: &str, number: u64) -> String {
        let mut sent = Vec::new();
        append_stamped(&mut sent, line.as_bytes(), NOON, number);
        String::from_utf8(sent).unwrap()
    }

    fn accepted(sent: &str, now: i64) -> AcceptedEvent {
        let context = Ingest {
            validation: Validation::Lenient,
            now: UnixMillis::new(now),
            idempotency_key: None,
        };
        ingest(sent.as_bytes(), context, || {
            EventId::parse("fresh").unwrap()
        })
        .unwrap()
    }

    #[test]
    fn stamped_line_keeps_its_id_and_equal_lines_have_different_ids() {
        for (line, replaces) in [
            (r#"{"event":"call"}"#, false),
            (r#" {"event":"call","timestamp":null} "#, true),
            ("{\"event\":\"call\",\"timestamp\":1e999}\r", true),
            (r#"{"event":"call","data":{"timestamp":1}}"#, false),
        ] {
            assert!(needs_stamp(line.as_bytes()), "{line}");
            let first = accepted(&stamped(line, 7), 1);
            let is_named = first.warnings.iter().any(|w| w.pointer == "/timestamp");
            assert_eq!(is_named, replaces, "{line}");
            assert_eq!(first, accepted(&stamped(line, 7), 2));
            assert_ne!(first.id, accepted(&stamped(line, 8), 1).id);
            assert_ne!(first.id.as_str(), "fresh");
        }
    }

    #[test]
    fn timestamp_is_the_start_of_the_import_plus_the_line_number() {
        assert_eq!(
            stamped(r#"{"event":"call"}"#, 1_000_001),
            r#"{"event":"call","timestamp":"2024-10-01T12:00:01.000001Z"}"#
        );
        assert_eq!(stamped("{}", 1).len() - "{}".len(), STAMP_BYTES);
    }

    #[test]
    fn event_with_timestamp_and_invalid_line_stay_unchanged() {
        for line in [
            r#"{"event":"call","timestamp":"2024-10-01"}"#,
            r#"{"event":"call","timestamp":1727784000}"#,
            r#"{"event":"call","timestamp":{}}"#,
            r#"{"event":"call""#,
            "[]",
            "{}",
            "",
        ] {
            assert!(!needs_stamp(line.as_bytes()), "{line}");
        }
    }
}
