//! Formats of an ended delivery: text and JSON.

use serde::Serialize;
use wahook_delivery_log::Ended;
use wahook_domain::Status;
use wahook_runtime::printable;

/// Colours, if enabled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    pub(super) const fn new(enabled: bool) -> Self {
        Self(enabled)
    }

    /// Colours a text with an SGR code of the terminal.
    fn apply(self, code: u8, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const DIM: u8 = 2;

/// Formats time, status, event, endpoint and id, then retries and error.
pub(super) fn as_text(ended: &Ended, paint: Paint) -> String {
    let colour = match (ended.delivered, ended.retry_count) {
        (true, 0) => GREEN,
        (true, _) => YELLOW,
        (false, _) => RED,
    };
    let code = ended
        .status_code
        .map_or_else(|| "-".to_owned(), |code| code.to_string());
    let outcome = paint.apply(colour, &format!("{:<7} {code:>3}", status(ended)));
    let line = format!(
        "{}  {outcome}  {:<24} {:<12} {}",
        paint.apply(DIM, &ended.ended_at.to_iso8601()),
        printable(&ended.event),
        printable(&ended.endpoint),
        printable(&ended.event_id),
    );
    let mut remarks = Vec::new();
    match ended.retry_count {
        0 => {}
        1 => remarks.push("1 retry".to_owned()),
        retries => remarks.push(format!("{retries} retries")),
    }
    remarks.extend(ended.error.as_deref().map(printable));
    if ended.other_event {
        remarks.push("another event used the same id".to_owned());
    }
    if remarks.is_empty() {
        line
    } else {
        format!("{line}  {}", remarks.join(", "))
    }
}

/// JSON object with the member names of the log's records.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    completed_at: String,
    status: &'static str,
    status_code: Option<i32>,
    event: &'a str,
    endpoint: &'a str,
    event_id: &'a str,
    retry_count: i32,
    error_message: Option<&'a str>,
    created_at: String,
    webhook_url: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    other_event: bool,
}

pub(super) fn as_json(ended: &Ended) -> serde_json::Result<String> {
    serde_json::to_string(&Line {
        completed_at: ended.ended_at.to_iso8601(),
        status: status(ended),
        status_code: ended.status_code,
        event: &ended.event,
        endpoint: &ended.endpoint,
        event_id: &ended.event_id,
        retry_count: ended.retry_count,
        error_message: ended.error.as_deref(),
        created_at: ended.accepted_at.to_iso8601(),
        webhook_url: &ended.webhook_url,
        other_event: ended.other_event,
    })
}

const fn status(ended: &Ended) -> &'static str {
    if ended.delivered {
        Status::Success.as_str()
    } else {
        Status::Failed.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::UnixMillis;

    fn failed() -> Ended {
        Ended {
            event_id: "evt-1".to_owned(),
            event: "call".to_owned(),
            endpoint: "default".to_owned(),
            webhook_url: "https://example.com/".to_owned(),
            delivered: false,
            status_code: Some(500),
            retry_count: 3,
            error: Some("answered 500".to_owned()),
            accepted_at: UnixMillis::new(1_727_784_000_000),
            ended_at: UnixMillis::new(1_727_784_035_250),
            other_event: false,
        }
    }

    #[test]
    fn text_has_time_status_retries_and_error() {
        assert_eq!(
            as_text(&failed(), Paint::new(false)),
            "2024-10-01T12:00:35.250Z  failed  500  call                     default      evt-1  3 retries, answered 500"
        );
        let delivered = Ended {
            delivered: true,
            status_code: Some(200),
            retry_count: 0,
            error: None,
            ..failed()
        };
        assert_eq!(
            as_text(&delivered, Paint::new(false)),
            "2024-10-01T12:00:35.250Z  success 200  call                     default      evt-1"
        );
    }

    #[test]
    fn record_of_two_events_says_so() {
        let mixed = Ended {
            other_event: true,
            ..failed()
        };
        let line = as_text(&mixed, Paint::new(false));
        let remark = "answered 500, another event used the same id";
        assert!(line.ends_with(remark), "{line}");
        let json = as_json(&mixed).unwrap();
        assert!(json.ends_with(r#","otherEvent":true}"#), "{json}");
    }

    #[test]
    fn status_is_coloured_and_control_characters_of_an_error_are_escaped() {
        let hostile = Ended {
            error: Some("\x1b[2J".to_owned()),
            status_code: None,
            ..failed()
        };
        let line = as_text(&hostile, Paint::new(true));
        assert!(line.contains("\x1b[31mfailed    -\x1b[0m"), "{line:?}");
        assert!(line.ends_with("3 retries, \\u{1b}[2J"), "{line:?}");
    }

    #[test]
    fn json_has_the_member_names_of_the_log() {
        assert_eq!(
            as_json(&failed()).unwrap(),
            r#"{"completedAt":"2024-10-01T12:00:35.250Z","status":"failed","statusCode":500,"event":"call","endpoint":"default","eventId":"evt-1","retryCount":3,"errorMessage":"answered 500","createdAt":"2024-10-01T12:00:00.000Z","webhookUrl":"https://example.com/"}"#
        );
    }
}
