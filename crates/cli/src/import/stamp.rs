//! What makes the id of a line the same each time it is sent?
//!
//! The producer makes an event's id of its body, where it has a `timestamp`; to
//! one without it gives the current time and a new id. So an import gives each
//! event without a time one that depends on nothing but when the import began
//! and on the line's number: a microsecond later for each line, so that two
//! lines that say the same are still two events.

use jiff::Timestamp;
use wahook_domain::{
    UnixMillis,
    json::{self, Node},
};

/// What a stamp adds to a line, in bytes.
pub(super) const STAMP_BYTES: usize = r#","timestamp":"2024-10-01T12:00:00.000000Z""#.len();

/// Whether the line is an event that the producer would give the current time.
pub(super) fn is_needed(line: &[u8]) -> bool {
    match json::parse(line) {
        Ok(Node::Object(members)) => {
            !members.is_empty() && matches!(members.get("timestamp"), None | Some(Node::Null))
        }
        // It is refused in any case, and with the place of the fault in it.
        _ => false,
    }
}

/// Adds an object's time to `sent`. The last of two members of one name counts,
/// so a `null` before it is outranked.
pub(super) fn add_with_time(sent: &mut Vec<u8>, line: &[u8], begun_at: UnixMillis, number: u64) {
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
        add_with_time(&mut sent, line.as_bytes(), NOON, number);
        String::from_utf8(sent).unwrap()
    }

    fn taken(sent: &str, now: i64) -> AcceptedEvent {
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
    fn a_stamped_line_has_one_id_whenever_it_is_sent_and_equal_lines_have_two() {
        for line in [
            r#"{"event":"call"}"#,
            r#" {"event":"call","timestamp":null} "#,
            "{\"event\":\"call\",\"timestamp\":1e999}\r",
            r#"{"event":"call","data":{"timestamp":1}}"#,
        ] {
            assert!(is_needed(line.as_bytes()), "{line}");
            let first = taken(&stamped(line, 7), 1);
            assert_eq!(
                first.warnings.iter().find(|w| w.pointer == "/timestamp"),
                None
            );
            assert_eq!(first, taken(&stamped(line, 7), 2));
            assert_ne!(first.id, taken(&stamped(line, 8), 1).id);
            assert_ne!(first.id.as_str(), "fresh");
        }
    }

    #[test]
    fn the_time_is_that_of_the_import() {
        assert_eq!(
            stamped(r#"{"event":"call"}"#, 1_000_001),
            r#"{"event":"call","timestamp":"2024-10-01T12:00:01.000001Z"}"#
        );
        assert_eq!(stamped("{}", 1).len() - "{}".len(), STAMP_BYTES);
    }

    #[test]
    fn what_has_a_time_or_is_no_event_stays_as_it_is() {
        for line in [
            r#"{"event":"call","timestamp":"2024-10-01"}"#,
            r#"{"event":"call","timestamp":1727784000}"#,
            r#"{"event":"call","timestamp":{}}"#,
            r#"{"event":"call""#,
            "[]",
            "{}",
            "",
        ] {
            assert!(!is_needed(line.as_bytes()), "{line}");
        }
    }
}
