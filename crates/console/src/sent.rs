//! Request of a delivery, as far as the log can give it back (pure).

use std::fmt::Write as _;

use serde_json::json;
use wahook_delivery_log::LoggedDelivery;
use wahook_runtime::shell_text::quoted;

/// `User-Agent` of every delivery.
const USER_AGENT: &str = "WhatsApp-Web-API/2.0";
/// Content type of events that are not in a gateway's own form.
const JSON: &str = "application/json";
/// Longest body within the command: systems limit an argument to 128 KiB.
const INLINE_BYTES: usize = 32 << 10;

/// Returns the headers of the last attempt, without signatures and those of the endpoint's
/// settings.
pub(crate) fn headers(logged: &LoggedDelivery) -> Vec<(&'static str, String)> {
    let found = &logged.found;
    let received = logged.sent.as_ref().and_then(|sent| sent.received.as_ref());
    let content_type = received.and_then(|form| form.content_type.as_deref());
    let mut headers = vec![
        ("content-type", content_type.unwrap_or(JSON).to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("x-webhook-event", found.event.clone()),
        ("webhook-id", found.event_id.to_string()),
    ];
    if let Some(last) = logged.attempts.last() {
        headers.push(("x-webhook-attempt", last.number.get().to_string()));
        let sent_at = last.started_at.seconds().to_string();
        headers.push(("webhook-timestamp", sent_at));
    }
    let origin = [
        ("x-webhook-source", &found.source),
        ("x-webhook-session", &found.session),
    ];
    headers.extend(
        origin
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?))),
    );
    headers
}

/// Returns the command for a POSIX shell that sends the event again. Without a payload, the
/// command reads the body from a file of the user.
pub(crate) fn curl(
    logged: &LoggedDelivery,
    headers: &[(&'static str, String)],
    payload: Option<&str>,
) -> String {
    let mut command = format!("curl -i {}", quoted(logged.found.webhook_url.as_bytes()));
    for (name, value) in headers {
        let header = quoted(format!("{name}: {value}").as_bytes());
        let _infallible = write!(command, " -H {header}");
    }
    let body = payload.and_then(|payload| body(logged, payload));
    let data = match body.filter(|body| body.len() <= INLINE_BYTES) {
        Some(body) => format!(" --data-raw {}", quoted(body.as_bytes())),
        None => " --data-binary @body.json".to_owned(),
    };
    command + &data
}

/// Returns the body of the request: what was sent, or the event; `None` if it is no text, or too
/// long in any case.
fn body(logged: &LoggedDelivery, payload: &str) -> Option<String> {
    let found = &logged.found;
    let sent = logged.sent.as_ref();
    if let Some(Ok(body)) = sent.map(|sent| sent.body_of(Some(payload))) {
        let text = String::from_utf8(body.into()).ok();
        // An argument of a command cannot have a NUL.
        return text.filter(|text| !text.contains('\0'));
    }
    // A copy of a large payload is not made in vain.
    if payload.len() > INLINE_BYTES {
        return None;
    }
    if found.source.is_some() {
        return Some(payload.to_owned());
    }
    let (event, timestamp) = (json!(found.event), json!(logged.timestamp));
    let body = format!(r#"{{"event":{event},"data":{payload},"timestamp":{timestamp}}}"#);
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::logged;
    use wahook_domain::{ReceivedForm, Sent};

    fn command(payload: Option<&str>) -> String {
        let logged = logged("evt-1", 1_000);
        curl(&logged, &headers(&logged), payload)
    }

    #[test]
    fn headers_are_those_of_the_last_attempt_without_signatures() {
        let headers = headers(&logged("evt-1", 1_000));
        let value = |name: &str| {
            let found = headers.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("webhook-id"), Some("evt-1"));
        assert_eq!(value("x-webhook-attempt"), Some("2"));
        assert!(headers.iter().all(|(name, _)| !name.contains("signature")));
    }

    #[test]
    fn hostile_content_stays_one_word_of_the_command() {
        let command = command(Some(r#"{"body":"it's $(rm) `x`"}"#));
        let body = r#"'{"event":"call","data":{"body":"it'\''s $(rm) `x`"},"#;
        assert!(command.contains(body), "{command}");
    }

    #[test]
    fn bytes_that_were_sent_are_the_body_unless_they_are_no_text() {
        for (body, expected) in [
            (&b"a=it's"[..], r"--data-raw 'a=it'\''s'"),
            (&b"a=\0"[..], "--data-binary @body.json"),
            (&b"a=\xff"[..], "--data-binary @body.json"),
        ] {
            let mut logged = logged("evt-1", 1_000);
            logged.sent = Some(Sent {
                received: Some(ReceivedForm {
                    content_type: Some("text/plain".to_owned()),
                    headers: vec![("x-hub-signature-256".to_owned(), "00".to_owned())],
                }),
                omitted: None,
                body: Some(body.into()),
            });
            let headers = headers(&logged);
            assert_eq!(headers[0], ("content-type", "text/plain".to_owned()));
            let command = curl(&logged, &headers, Some("{}"));
            assert!(command.ends_with(expected), "{command}");
            assert!(!command.contains("signature"), "{command}");
            let hidden = curl(&logged, &headers, None);
            assert!(hidden.ends_with("--data-binary @body.json"), "{hidden}");
        }
    }

    #[test]
    fn long_or_hidden_body_comes_from_a_file() {
        let long = format!(r#"{{"body":"{}"}}"#, "x".repeat(INLINE_BYTES));
        for command in [command(None), command(Some(&long))] {
            assert!(command.ends_with("--data-binary @body.json"), "{command}");
        }
    }
}
