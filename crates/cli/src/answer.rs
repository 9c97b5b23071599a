//! Answers of the producer to events.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use wahook_runtime::printable;

/// Limit in characters for showing an answer that is not a problem document.
const SHOWN_CHARS: usize = 300;

/// Result of sending an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The broker has the event.
    Accepted(Accepted),
    /// The event was rejected; a retry does not help.
    Refused(Refusal),
    /// The event was not accepted, but a retry may succeed.
    NotNow(Refusal),
}

/// Answer to an accepted event.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) warnings: Vec<Fault>,
    /// True if the event was accepted before.
    #[serde(default)]
    pub(crate) duplicate: bool,
    /// Present, and 0, if no endpoint wants the event.
    pub(crate) endpoints: Option<u64>,
}

/// Problem document; absent members are empty.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) status: u16,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
    /// Delay from `Retry-After`.
    #[serde(skip)]
    pub(crate) retry_after: Option<Duration>,
}

/// Fault at one place of an event.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(crate) struct Fault {
    pointer: String,
    message: String,
}

impl Verdict {
    /// Reads the answer to one event.
    pub(crate) fn from_answer(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        if matches!(status, 200 | 202)
            && let Ok(accepted) = serde_json::from_slice(body)
        {
            return Self::Accepted(accepted);
        }
        let mut refusal = Refusal::parse(status, body);
        refusal.retry_after = retry_after;
        Self::refused(refusal)
    }

    /// Reads one line of the answer to a batch. Returns `None` if it is incomplete.
    pub(crate) fn from_line(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Status {
            status: u16,
        }
        let Status { status } = serde_json::from_slice(line).ok()?;
        if matches!(status, 200 | 202) {
            return serde_json::from_slice(line).ok().map(Self::Accepted);
        }
        Some(Self::refused(Refusal::parse(status, line)))
    }

    fn refused(refusal: Refusal) -> Self {
        // A 2xx or 3xx answer of another form comes from an intermediary, as a 502 does: a
        // retry may succeed.
        let is_final = (400..500).contains(&refusal.status) && !matches!(refusal.status, 408 | 429);
        if is_final {
            Self::Refused(refusal)
        } else {
            Self::NotNow(refusal)
        }
    }
}

impl Refusal {
    /// Creates a refusal by the command itself.
    pub(crate) fn local(title: &str, detail: impl Into<String>) -> Self {
        Self {
            title: title.to_owned(),
            detail: detail.into(),
            ..Self::default()
        }
    }

    fn parse(status: u16, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice::<Self>(body).ok();
        match parsed.filter(|refusal| !refusal.title.is_empty()) {
            Some(refusal) => Self { status, ..refusal },
            None => Self {
                status,
                title: "The answer is not from the producer".to_owned(),
                detail: String::from_utf8_lossy(body)
                    .chars()
                    .take(SHOWN_CHARS)
                    .collect(),
                ..Self::default()
            },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status != 0 {
            write!(f, "{} ", self.status)?;
        }
        write!(f, "{}", printable(&self.title))?;
        if !self.detail.is_empty() {
            write!(f, ": {}", printable(&self.detail))?;
        }
        for fault in &self.errors {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.pointer.as_str() {
            "" => "the event",
            pointer => pointer,
        };
        write!(f, "{} {}", printable(place), printable(&self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_document_is_shown_with_all_its_faults() {
        let body = br#"{"type":"/problems/invalid-event","title":"The JSON is not an event","status":422,"detail":"see errors","errors":[{"pointer":"/event","message":"is missing"},{"pointer":"","message":"must be an object"}]}"#;
        let Verdict::Refused(refusal) = Verdict::from_answer(422, None, body) else {
            panic!()
        };
        assert_eq!(
            refusal.to_string(),
            "422 The JSON is not an event: see errors\n  /event is missing\n  the event must be an object"
        );
    }

    #[test]
    fn answer_of_an_intermediary_is_shown_and_never_counts_as_accepted() {
        let Verdict::NotNow(refusal) =
            Verdict::from_answer(502, None, b"<h1>Bad\x1b[2J Gateway</h1>")
        else {
            panic!()
        };
        assert_eq!(
            refusal.to_string(),
            "502 The answer is not from the producer: <h1>Bad\\u{1b}[2J Gateway</h1>"
        );
        assert!(matches!(
            Verdict::from_answer(200, None, b"<h1>Sign in</h1>"),
            Verdict::NotNow(_)
        ));
        assert!(matches!(
            Verdict::from_answer(302, None, b""),
            Verdict::NotNow(_)
        ));
        assert!(matches!(
            Verdict::from_answer(401, None, b""),
            Verdict::Refused(_)
        ));
        for later in [408, 429, 500, 503] {
            assert!(matches!(
                Verdict::from_answer(later, None, b"{}"),
                Verdict::NotNow(_)
            ));
        }
    }

    #[test]
    fn each_line_of_a_batch_has_its_own_verdict() {
        let accepted =
            Verdict::from_line(br#"{"status":200,"id":"a","warnings":[],"duplicate":true}"#);
        assert!(
            matches!(accepted, Some(Verdict::Accepted(event)) if event.duplicate && event.id == "a")
        );
        let refused = Verdict::from_line(br#"{"status":400,"title":"The body is not JSON"}"#);
        assert!(matches!(refused, Some(Verdict::Refused(_))));
        let later = Verdict::from_line(br#"{"status":503,"title":"The event was not accepted"}"#);
        assert!(matches!(later, Some(Verdict::NotNow(_))));
        for broken in [&b""[..], b"{}", br#"{"status":202}"#, br#"{"status":2"#] {
            assert_eq!(Verdict::from_line(broken), None);
        }
    }
}
