//! What became of one attempt.

use std::time::Duration;

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A whole answer with a 2xx status, in time.
    Delivered {
        /// The status code.
        status: u16,
    },
    /// A whole answer with a status that is neither 2xx nor 3xx.
    Answered {
        /// The status code.
        status: u16,
        /// How long the answer asks to wait.
        retry_after: Option<Duration>,
    },
    /// A 3xx, which is not followed: a signed body goes only where it was
    /// meant to go.
    Redirected {
        /// The status code.
        status: u16,
        /// Where to.
        location: Option<String>,
    },
    /// No whole answer within the time limit.
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// No whole answer for another reason.
    Failed {
        /// The reason's kind.
        cause: FailureCause,
        /// What more there is to say of it; may be empty.
        detail: String,
    },
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureCause {
    /// The host's name has no address.
    Dns,
    /// Nothing listens there.
    ConnectionRefused,
    /// The connection broke off before there was an answer.
    ConnectionReset,
    /// No connection for another reason.
    Connect,
    /// No trusted encryption. The detail says all of it.
    Tls,
    /// What came back is not HTTP.
    Protocol,
    /// The connection broke off within the answer's body.
    Body,
    /// The address is private, and so not called.
    Blocked,
    /// Anything else.
    Other,
}

impl Outcome {
    /// Whether the event is delivered.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Delivered { .. })
    }

    /// The status code of the answer, where there was one.
    #[must_use]
    pub const fn status_code(&self) -> Option<u16> {
        match self {
            Self::Delivered { status }
            | Self::Answered { status, .. }
            | Self::Redirected { status, .. } => Some(*status),
            Self::TimedOut { .. } | Self::Failed { .. } => None,
        }
    }

    /// What went wrong, in plain words; `None` on success.
    #[must_use]
    pub fn error_message(&self) -> Option<String> {
        match self {
            Self::Delivered { .. } => None,
            Self::Answered { status, .. } => Some(format!("answered {status}")),
            Self::Redirected {
                location: Some(location),
                ..
            } => Some(format!("redirect to {} not followed", fit(location))),
            Self::Redirected {
                status,
                location: None,
            } => Some(format!("redirect ({status}) not followed")),
            Self::TimedOut { limit } => Some(format!("no answer in {}", in_words(*limit))),
            Self::Failed { cause, detail } => Some(failure_in_words(*cause, detail)),
        }
    }

    /// A metric's label: one of fifteen words.
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

    /// How long the receiver asks to wait. It is asked only by 429 and 503:
    /// other statuses give the header another meaning or none.
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

    const fn in_words(self) -> &'static str {
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

fn failure_in_words(cause: FailureCause, detail: &str) -> String {
    let words = cause.in_words();
    match cause {
        _ if detail.is_empty() => words.to_owned(),
        // "certificate expired on …" needs no introduction.
        FailureCause::Tls => fit(detail),
        _ => format!("{words}: {}", fit(detail)),
    }
}

/// What the other side chose, fit for a line of a log: it is cut, since it ends
/// in every record, and a control character can't end the line or repaint a
/// terminal.
fn fit(text: &str) -> String {
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

/// Controls, line separators, and the marks that turn the direction of writing.
fn is_disruptive(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn in_words(limit: Duration) -> String {
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
    fn a_failure_is_told_in_plain_words() {
        let timed_out = |ms| Outcome::TimedOut {
            limit: Duration::from_millis(ms),
        };
        let redirected = |location: Option<&str>| Outcome::Redirected {
            status: 302,
            location: location.map(str::to_owned),
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
    fn every_cause_has_its_words_and_its_label() {
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
    fn what_the_other_side_says_is_cut_between_characters() {
        let words = failed(FailureCause::Protocol, &"é".repeat(10_000));
        let cut = format!("the answer was no HTTP: {}…", "é".repeat(200));
        assert_eq!(words, cut);
        let whole = failed(FailureCause::Protocol, &"é".repeat(200));
        assert_eq!(words.trim_end_matches('…'), whole);
    }

    #[test]
    fn what_the_other_side_says_stays_on_its_line() {
        let redirect = Outcome::Redirected {
            status: 302,
            location: Some("/a\r\nstatus: \u{1b}[2Jsuccess\u{85}\u{202e}\u{2028}\t".to_owned()),
        };
        assert_eq!(
            redirect.error_message().unwrap(),
            "redirect to /a��status: �[2Jsuccess���� not followed"
        );
    }

    #[test]
    fn only_429_and_503_ask_to_wait() {
        for (status, asked) in [(429, true), (503, true), (500, false), (404, false)] {
            assert_eq!(answered(status).retry_after().is_some(), asked, "{status}");
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
