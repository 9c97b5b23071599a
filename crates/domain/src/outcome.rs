//! Outcome of one delivery attempt.

use std::time::Duration;

use crate::redirect::RedirectFault;

/// Outcome of one delivery attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx response with a complete header section within the time limit.
    Delivered { status: u16 },
    /// Response with a status that is neither 2xx nor 3xx.
    Answered {
        status: u16,
        /// Wait that the response requests.
        retry_after: Option<Duration>,
    },
    /// 3xx response that was not followed: a signed body goes only to the configured URL, and
    /// to its host if the endpoint's redirects are followed.
    Redirected {
        status: u16,
        /// Target of the redirect.
        location: Option<String>,
        /// Reason, if the endpoint's redirects are followed.
        fault: Option<RedirectFault>,
    },
    /// No complete header section of a response within the time limit.
    TimedOut { limit: Duration },
    /// No response for another reason.
    Failed {
        cause: FailureCause,
        /// Further details; may be empty.
        detail: String,
    },
}

/// Reason for a missing response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureCause {
    /// The host's name does not resolve.
    Dns,
    /// Nothing listens on the port.
    ConnectionRefused,
    /// The connection closed before a response arrived.
    ConnectionReset,
    /// No connection for another reason.
    Connect,
    /// No trusted encryption. The detail is the whole message, which starts with "TLS failed" or
    /// "certificate".
    Tls,
    /// The response is not HTTP.
    Protocol,
    /// The connection closed within the response's body.
    Body,
    /// The address is private and therefore not called.
    Blocked,
    /// Any other reason.
    Other,
}

impl Outcome {
    /// Removes the target of a redirect, which may repeat a secret of the URL.
    pub fn hide_location(&mut self) {
        if let Self::Redirected { location, .. } = self {
            *location = None;
        }
    }

    /// Returns true if the event is delivered.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Delivered { .. })
    }

    /// Returns the status code of the response, if there was one.
    #[must_use]
    pub const fn status_code(&self) -> Option<u16> {
        match self {
            Self::Delivered { status }
            | Self::Answered { status, .. }
            | Self::Redirected { status, .. } => Some(*status),
            Self::TimedOut { .. } | Self::Failed { .. } => None,
        }
    }

    /// Returns the error message; `None` on success.
    #[must_use]
    pub fn error_message(&self) -> Option<String> {
        match self {
            Self::Delivered { .. } => None,
            Self::Answered { status, .. } => Some(format!("answered {status}")),
            Self::Redirected {
                status,
                location,
                fault,
            } => Some(redirect_message(*status, location.as_deref(), *fault)),
            Self::TimedOut { limit } => Some(format!("no answer in {}", format_limit(*limit))),
            Self::Failed { cause, detail } => Some(failure_message(*cause, detail)),
        }
    }

    /// Returns the metric label, one of fifteen words.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Answered {
                status: 400..=499, ..
            } => "status_4xx",
            Self::Answered {
                status: 500..=599, ..
            } => "status_5xx",
            Self::Answered { .. } => "status_other",
            Self::Redirected { .. } => "redirect",
            Self::TimedOut { .. } => "timeout",
            Self::Failed { cause, .. } => cause.label(),
        }
    }

    /// Returns the wait that the receiver requests. Only 429 and 503 count: other
    /// statuses give the header another meaning or none.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answered {
                status: 429 | 503,
                retry_after,
            } => *retry_after,
            _ => None,
        }
    }
}

impl FailureCause {
    /// Start of the messages about a certificate.
    pub(crate) const CERTIFICATE: &str = "certificate ";

    const fn label(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionReset => "connection_reset",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Body => "body",
            Self::Blocked => "blocked",
            Self::Other => "other",
        }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Dns => "host not found",
            Self::ConnectionRefused => "connection refused",
            Self::ConnectionReset => "the connection broke off before an answer",
            Self::Connect => "no connection",
            Self::Tls => "TLS failed",
            Self::Protocol => "the answer was no HTTP",
            Self::Body => "the connection broke off within the answer",
            Self::Blocked => "address not allowed",
            Self::Other => "no answer",
        }
    }
}

fn redirect_message(status: u16, location: Option<&str>, fault: Option<RedirectFault>) -> String {
    let message = match location {
        Some(location) => format!("redirect to {} not followed", sanitize(location)),
        None => format!("redirect ({status}) not followed"),
    };
    match fault {
        Some(fault) => format!("{message}: {fault}"),
        None => message,
    }
}

fn failure_message(cause: FailureCause, detail: &str) -> String {
    let message = cause.message();
    match cause {
        _ if detail.is_empty() => message.to_owned(),
        // The detail is a whole message, such as "certificate expired on …".
        FailureCause::Tls => sanitize(detail),
        _ => format!("{message}: {}", sanitize(detail)),
    }
}

/// Makes text of the receiver safe for a log line. It is cut, since every record
/// stores it; control characters are replaced, so that they cannot end the line
/// or control a terminal.
fn sanitize(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == MOST {
            shown.push('…');
            break;
        }
        shown.push(if is_disruptive(character) {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        });
    }
    shown
}

/// Returns true for control characters, line separators and bidirectional marks.
fn is_disruptive(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn format_limit(limit: Duration) -> String {
    if limit.subsec_nanos() == 0 {
        format!("{} s", limit.as_secs())
    } else {
        format!("{} ms", limit.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Outcome {
        Outcome::Answered {
            status,
            retry_after: Some(Duration::from_secs(7)),
        }
    }

    fn failed(cause: FailureCause, detail: &str) -> String {
        Outcome::Failed {
            cause,
            detail: detail.to_owned(),
        }
        .error_message()
        .unwrap()
    }

    #[test]
    fn failure_has_a_plain_error_message() {
        let timed_out = |ms| Outcome::TimedOut {
            limit: Duration::from_millis(ms),
        };
        let redirected = |location: Option<&str>| Outcome::Redirected {
            status: 302,
            location: location.map(str::to_owned),
            fault: None,
        };
        for (outcome, words) in [
            (answered(500), "answered 500"),
            (timed_out(30_000), "no answer in 30 s"),
            (timed_out(1_500), "no answer in 1500 ms"),
            (
                redirected(Some("/login")),
                "redirect to /login not followed",
            ),
            (redirected(None), "redirect (302) not followed"),
        ] {
            assert_eq!(outcome.error_message().as_deref(), Some(words));
        }
        assert_eq!(Outcome::Delivered { status: 204 }.error_message(), None);
    }

    #[test]
    fn every_cause_has_its_message_and_its_label() {
        for (cause, detail, words, label) in [
            (
                FailureCause::Dns,
                "hook.example (no such name)",
                "host not found: hook.example (no such name)",
                "dns",
            ),
            (
                FailureCause::ConnectionRefused,
                "",
                "connection refused",
                "connection_refused",
            ),
            (
                FailureCause::ConnectionReset,
                "",
                "the connection broke off before an answer",
                "connection_reset",
            ),
            (
                FailureCause::Connect,
                "Network is unreachable",
                "no connection: Network is unreachable",
                "connect",
            ),
            (
                FailureCause::Tls,
                "certificate expired on 2024-10-01",
                "certificate expired on 2024-10-01",
                "tls",
            ),
            (FailureCause::Tls, "", "TLS failed", "tls"),
            (
                FailureCause::Protocol,
                "invalid HTTP version parsed",
                "the answer was no HTTP: invalid HTTP version parsed",
                "protocol",
            ),
            (
                FailureCause::Body,
                "",
                "the connection broke off within the answer",
                "body",
            ),
            (
                FailureCause::Blocked,
                "10.0.0.5 is not a public address",
                "address not allowed: 10.0.0.5 is not a public address",
                "blocked",
            ),
            (FailureCause::Other, "", "no answer", "other"),
        ] {
            assert_eq!(failed(cause, detail), words);
            assert_eq!(cause.label(), label);
        }
    }

    #[test]
    fn text_of_the_receiver_is_cut_between_characters() {
        let words = failed(FailureCause::Protocol, &"é".repeat(10_000));
        let cut = format!("the answer was no HTTP: {}…", "é".repeat(200));
        assert_eq!(words, cut);
        let whole = failed(FailureCause::Protocol, &"é".repeat(200));
        assert_eq!(words.trim_end_matches('…'), whole);
    }

    #[test]
    fn text_of_the_receiver_stays_on_one_line() {
        let redirect = Outcome::Redirected {
            status: 302,
            location: Some("/a\r\nstatus: \u{1b}[2Jsuccess\u{85}\u{202e}\u{2028}\t".to_owned()),
            fault: None,
        };
        assert_eq!(
            redirect.error_message().unwrap(),
            "redirect to /a��status: �[2Jsuccess���� not followed"
        );
    }

    #[test]
    fn retry_after_counts_only_for_429_and_503() {
        for (status, counts) in [(429, true), (503, true), (500, false), (404, false)] {
            assert_eq!(answered(status).retry_after().is_some(), counts, "{status}");
        }
    }

    #[test]
    fn statuses_share_a_few_labels() {
        for (status, label) in [
            (400, "status_4xx"),
            (499, "status_4xx"),
            (503, "status_5xx"),
            (600, "status_other"),
        ] {
            assert_eq!(answered(status).label(), label);
        }
    }
}
