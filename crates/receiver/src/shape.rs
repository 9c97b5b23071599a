//! JSON of the API, documented in [`crate::http_api`].

use axum::http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::{
    answer::{Answer, InvalidRule, Rule},
    curl,
    history::{AnswerState, Entry},
    verify::{Check, Verdict},
};

/// Limit for bodies in the JSON; longer ones can only be downloaded.
const SHOWN_BYTES: usize = 2 << 20;
/// Limit for the method and the target in updates, in characters. Without it, an update
/// with all requests could have 64 MB.
const LISTED_CHARS: usize = 1_000;

/// Changes since a step, or everything.
#[derive(Debug, Serialize)]
pub(crate) struct Update {
    pub(crate) run: String,
    pub(crate) step: u64,
    pub(crate) first: u64,
    pub(crate) has_secret: bool,
    pub(crate) rule: RuleShape,
    pub(crate) deliveries: Vec<Summary>,
}

/// Rule, in requests and in answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleShape {
    status: u16,
    #[serde(default)]
    retry_after_s: Option<u32>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    next: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    number: u64,
    time_ms: i64,
    method: String,
    target: String,
    event: Option<String>,
    id: Option<String>,
    attempt: Option<u32>,
    gap_ms: Option<u64>,
    body_bytes: usize,
    answer: AnswerShape,
    signatures: Signatures,
}

#[derive(Debug, Serialize)]
struct AnswerShape {
    status: u16,
    retry_after_s: Option<u32>,
    delay_ms: u64,
    state: &'static str,
}

#[derive(Debug, Serialize)]
struct Signatures {
    body: CheckShape,
    standard: CheckShape,
}

#[derive(Debug, Serialize)]
struct CheckShape {
    state: &'static str,
    code: &'static str,
    reason: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    summary: Summary,
    headers: Vec<(String, String)>,
    body: BodyShape,
    curl: String,
}

#[derive(Debug, Serialize)]
struct BodyShape {
    text: Option<String>,
    not_utf8_at: Option<usize>,
    cut: Option<String>,
}

impl From<&Entry> for Summary {
    fn from(entry: &Entry) -> Self {
        let claims = entry.claims.clone();
        Self {
            number: entry.number,
            time_ms: entry.request.arrived.get(),
            method: listed(entry.request.method.as_str()),
            target: listed(&entry.request.target),
            event: claims.event,
            id: claims.id,
            attempt: claims.attempt,
            gap_ms: entry.gap.map(millis),
            body_bytes: entry.request.body.len(),
            answer: AnswerShape::new(entry.answer, entry.answer_state),
            signatures: Signatures::from(&entry.verdict),
        }
    }
}

impl Detail {
    /// Creates the detail. `origin` is the address at which the page was opened.
    pub(crate) fn new(entry: &Entry, origin: &str) -> Self {
        let request = &entry.request;
        let fault = str::from_utf8(&request.body).err();
        let shown = request.body.len() <= SHOWN_BYTES;
        Self {
            summary: Summary {
                method: request.method.to_string(),
                target: request.target.clone(),
                ..Summary::from(entry)
            },
            headers: shown_headers(&request.headers),
            body: BodyShape {
                text: shown.then(|| String::from_utf8_lossy(&request.body).into_owned()),
                not_utf8_at: fault.map(|fault| fault.valid_up_to()),
                cut: request.cut.map(|cut| cut.to_string()),
            },
            curl: curl::command(request, entry.number, origin),
        }
    }
}

impl AnswerShape {
    fn new(answer: Answer, state: AnswerState) -> Self {
        Self {
            status: answer.status,
            retry_after_s: answer.retry_after,
            delay_ms: millis(answer.delay),
            state: match state {
                AnswerState::Waiting => "waiting",
                AnswerState::Given => "given",
                AnswerState::Abandoned => "abandoned",
            },
        }
    }
}

impl From<&Verdict> for Signatures {
    fn from(verdict: &Verdict) -> Self {
        Self {
            body: CheckShape::from(&verdict.body_signature),
            standard: CheckShape::from(&verdict.standard_webhooks),
        }
    }
}

impl From<&Check> for CheckShape {
    fn from(check: &Check) -> Self {
        let (state, code, reason) = match check {
            Check::Valid => ("valid", "valid", String::new()),
            Check::NoSecret => (
                "unknown",
                "no-secret",
                "no secret is set: set WEBHOOK_SECRET to the secret of the sender".to_owned(),
            ),
            Check::Invalid(fault) => ("invalid", fault.code(), fault.to_string()),
        };
        Self {
            state,
            code,
            reason,
        }
    }
}

impl From<Rule> for RuleShape {
    fn from(rule: Rule) -> Self {
        Self {
            status: rule.answer.status,
            retry_after_s: rule.answer.retry_after,
            delay_ms: millis(rule.answer.delay),
            next: rule.left,
        }
    }
}

impl TryFrom<RuleShape> for Rule {
    type Error = InvalidRule;

    fn try_from(shape: RuleShape) -> Result<Self, InvalidRule> {
        let answer = Answer {
            status: shape.status,
            retry_after: shape.retry_after_s,
            delay: Duration::from_millis(shape.delay_ms),
        };
        Self::new(answer, shape.next)
    }
}

fn listed(text: &str) -> String {
    match text.char_indices().nth(LISTED_CHARS) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

fn shown_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_in_lists() {
        let whole = "é".repeat(LISTED_CHARS);
        assert_eq!(listed(&whole), whole);
        assert_eq!(listed(&format!("{whole}é")), format!("{whole}…"));
        assert_eq!(listed(""), "");
    }
}
