//! Search for another event with the same id.

use rusqlite::{Connection, params};
use wahook_domain::{QueuedEvent, UnixMillis, redaction::is_redacted};

/// Returns true if there is a record of another event with the id of this one, which is in
/// canonical form, accepted at or after `since`.
pub(super) fn exists(
    db: &Connection,
    event: &QueuedEvent,
    since: UnixMillis,
) -> rusqlite::Result<bool> {
    // The keys of an event start with its id and a `/`; `0` is the character after it.
    let mut statement = db.prepare(
        "SELECT event, payload, timestamp FROM webhooklogs \
         WHERE _id >= ?1 || '/' AND _id < ?1 || '0' AND createdAt >= ?2",
    )?;
    let mut rows = statement.query(params![event.id.as_str(), since.get()])?;
    while let Some(row) = rows.next()? {
        let text = |column: usize| row.get_ref(column).map(|value| value.as_str());
        let (Ok(name), Ok(payload), Ok(timestamp)) = (text(0)?, text(1)?, text(2)?) else {
            continue;
        };
        if is_another(event, name, payload, timestamp) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Compares an event with a record. Values that the log does not keep are equal, and so are
/// members besides `event`, `data` and `timestamp`.
fn is_another(event: &QueuedEvent, name: &str, payload: &str, timestamp: &str) -> bool {
    if event.name.as_str() != name {
        return true;
    }
    // Keys that are array indices come first: the record does not have them.
    let Some(data) = after_name(event, name) else {
        return false;
    };
    if is_redacted(payload) {
        return false;
    }
    let Some(time) = data
        .strip_prefix(payload)
        .and_then(|rest| rest.strip_prefix(r#","timestamp":"#))
    else {
        return true;
    };
    let starts_with = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        time.starts_with(&quoted) || time.strip_prefix(text).is_some_and(ends_a_number)
    };
    // A time that was filled in differs from that of the record.
    !starts_with(timestamp) && !starts_with(&event.accepted_at.to_iso8601())
}

fn after_name<'a>(event: &'a QueuedEvent, name: &str) -> Option<&'a str> {
    let body = str::from_utf8(event.body.as_bytes()).ok()?;
    body.strip_prefix(&format!(r#"{{"event":"{name}","data":"#))
}

fn ends_a_number(rest: &str) -> bool {
    rest.starts_with([',', '}'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::{EventId, EventName, canonical_body};

    const AT: UnixMillis = UnixMillis::new(1_727_784_000_123);

    fn event(sent: &str) -> QueuedEvent {
        let body = canonical_body(sent.as_bytes(), AT).unwrap();
        let name = EventName::in_json(sent.as_bytes()).unwrap();
        QueuedEvent::new(EventId::parse("order-7").unwrap(), name, body, AT)
    }

    fn is_another_than_recorded(sent: &str) -> bool {
        is_another(
            &event(sent),
            "call",
            r#"{"n":1,"s":"\u0001"}"#,
            "2024-10-01",
        )
    }

    #[test]
    fn event_with_other_values_is_another_and_a_repeat_is_none() {
        for (sent, expected) in [
            (
                r#"{"event":"call","data":{"n":1.0,"s":"\u0001"},"timestamp":"2024-10-01"}"#,
                false,
            ),
            (r#"{"data":{"n":1,"s":"\u0001"},"event":"call"}"#, false),
            (
                r#"{"event":"call","data":{"n":1,"s":"\u0001"},"x":1,"timestamp":"2024-10-01"}"#,
                false,
            ),
            (
                r#"{"0":1,"event":"call","data":{"n":2},"timestamp":"2024-10-01"}"#,
                false,
            ),
            (
                r#"{"event":"call","data":{"n":1,"s":"\u0001"},"timestamp":"2024-10-02"}"#,
                true,
            ),
            (
                r#"{"event":"call","data":{"n":2,"s":"\u0001"},"timestamp":"2024-10-01"}"#,
                true,
            ),
            (
                r#"{"event":"call","data":{},"timestamp":"2024-10-01"}"#,
                true,
            ),
            (
                r#"{"event":"calls","data":{"n":1,"s":"\u0001"},"timestamp":"2024-10-01"}"#,
                true,
            ),
        ] {
            assert_eq!(is_another_than_recorded(sent), expected, "{sent}");
        }
    }

    #[test]
    fn number_as_time_is_compared_as_a_whole() {
        let sent = event(r#"{"event":"call","data":{},"timestamp":12}"#);
        let is_another = |timestamp| is_another(&sent, "call", "{}", timestamp);
        assert!(!is_another("12"));
        assert!(is_another("1") && is_another("123"));
    }

    #[test]
    fn values_that_the_log_does_not_keep_make_no_other_event() {
        let sent = event(r#"{"event":"call","data":{"n":1}}"#);
        let payload = r#"{"n":"[redacted by wahook]"}"#;
        assert!(!is_another(&sent, "call", payload, "2024-10-01"));
        assert!(is_another(&sent, "ready", payload, "2024-10-01"));
    }
}
