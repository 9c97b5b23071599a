//! What did the producer say to an event?

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use wahook_runtime::printable;

/// How much of an answer that is no problem document is shown.
const SHOWN_CHARS: usize = 300;

/// What became of an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// The broker has it.
    Taken(Taken),
    /// It will never be taken as it is.
    Refused(Refusal),
    /// It was not taken, but may be later.
    NotNow(Refusal),
}

/// The answer to an event that was taken.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Taken {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) warnings: Vec<Fault>,
    /// It had been taken before.
    #[serde(default)]
    pub(crate) duplicate: bool,
    /// 0 where no endpoint wants it.
    pub(crate) endpoints: Option<u64>,
}

/// A problem document, as much of it as there is.
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
    /// When to ask again, where the answer said so.
    #[serde(skip)]
    pub(crate) retry_after: Option<Duration>,
}

/// What is wrong at one place of an event.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(crate) struct Fault {
    pointer: String,
    message: String,
}

impl Verdict {
    /// From the whole answer to one event.
    pub(crate) fn of(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        if matches!(status, 200 | 202)
            && let Ok(taken) = serde_json::from_slice(body)
        {
            return Self::Taken(taken);
        }
        let mut refusal = Refusal::read(status, body);
        refusal.retry_after = retry_after;
        Self::refused(refusal)
    }

    /// From one line of the answer to a batch.
    pub(crate) fn of_line(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Status {
            status: u16,
        }
        let Status { status } = serde_json::from_slice(line).ok()?;
        if matches!(status, 200 | 202) {
            return serde_json::from_slice(line).ok().map(Self::Taken);
        }
        Some(Self::refused(Refusal::read(status, line)))
    }

    fn refused(refusal: Refusal) -> Self {
        // An answer 2xx or 3xx that is not the producer's comes from something
        // between us and it, as one of 502 does.
        let is_final = (400..500).contains(&refusal.status) && !matches!(refusal.status, 408 | 429);
        if is_final {
            Self::Refused(refusal)
        } else {
            Self::NotNow(refusal)
        }
    }
}

impl Refusal {
    /// For what the command itself refuses.
    pub(crate) fn own(title: &str, detail: impl Into<String>) -> Self {
        Self {
            title: title.to_owned(),
            detail: detail.into(),
            ..Self::default()
        }
    }

    fn read(status: u16, body: &[u8]) -> Self {
        let read = serde_json::from_slice::<Self>(body).ok();
        match read.filter(|refusal| !refusal.title.is_empty()) {
            Some(refusal) => Self { status, ..refusal },
            None => Self {
                status,
                title: "The answer is not the producer's".to_owned(),
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
    fn a_problem_document_is_told_with_all_its_places() {
        let body = br#"{"type":"/problems/invalid-event","title":"The JSON is not an event","status":422,"detail":"see errors","errors":[{"pointer":"/event","message":"is missing"},{"pointer":"","message":"must be an object"}]}"#;
        let Verdict::Refused(refusal) = Verdict::of(422, None, body) else {
            panic!()
        };
        assert_eq!(
            refusal.to_string(),
            "422 The JSON is not an event: see errors\n  /event is missing\n  the event must be an object"
        );
    }

    #[test]
    fn what_something_between_answers_is_shown_and_is_never_taken_for_a_yes() {
        let Verdict::NotNow(refusal) = Verdict::of(502, None, b"<h1>Bad\x1b[2J Gateway</h1>")
        else {
            panic!()
        };
        assert_eq!(
            refusal.to_string(),
            "502 The answer is not the producer's: <h1>Bad\\u{1b}[2J Gateway</h1>"
        );
        assert!(matches!(
            Verdict::of(200, None, b"<h1>Sign in</h1>"),
            Verdict::NotNow(_)
        ));
        assert!(matches!(Verdict::of(302, None, b""), Verdict::NotNow(_)));
        assert!(matches!(Verdict::of(401, None, b""), Verdict::Refused(_)));
        for later in [408, 429, 500, 503] {
            assert!(matches!(
                Verdict::of(later, None, b"{}"),
                Verdict::NotNow(_)
            ));
        }
    }

    #[test]
    fn each_line_of_a_batch_has_a_verdict_of_its_own() {
        let taken = Verdict::of_line(br#"{"status":200,"id":"a","warnings":[],"duplicate":true}"#);
        assert!(matches!(taken, Some(Verdict::Taken(taken)) if taken.duplicate && taken.id == "a"));
        let refused = Verdict::of_line(br#"{"status":400,"title":"The body is not JSON"}"#);
        assert!(matches!(refused, Some(Verdict::Refused(_))));
        let later = Verdict::of_line(br#"{"status":503,"title":"The event was not taken"}"#);
        assert!(matches!(later, Some(Verdict::NotNow(_))));
        for broken in [&b""[..], b"{}", br#"{"status":202}"#, br#"{"status":2"#] {
            assert_eq!(Verdict::of_line(broken), None);
        }
    }
}
