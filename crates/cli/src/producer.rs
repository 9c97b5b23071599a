//! The producer, as a gateway sees it.

use anyhow::Context;
use bytes::Bytes;
use reqwest::{
    Client, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    redirect,
};
use std::time::Duration;
use url::Url;
use wahook_domain::EventId;
use wahook_runtime::Settings;

use crate::{
    answer::{Refusal, Verdict},
    settings::{Access, To},
};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The producer reads a body for at most 15 s and then waits for the broker.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// What reads where the producer is.
pub(crate) fn reader(to: To) -> impl FnOnce(&mut Settings) -> Option<Access> {
    |settings| to.read(settings)
}

/// Sends events.
#[derive(Debug)]
pub(crate) struct Producer {
    http: Client,
    events: Url,
    /// As it may be shown.
    shown: String,
    authorization: Option<HeaderValue>,
}

/// What came of a batch.
#[derive(Debug)]
pub(crate) enum BatchAnswer {
    /// A verdict for each line, in order.
    Lines(Vec<Verdict>),
    /// Less at once may be taken.
    TooLarge(Refusal),
    /// No batch will be taken.
    Refused(Refusal),
    /// Nothing was said of the single lines; later something may be.
    NotNow(Refusal),
}

/// Nobody answered, or not to the end. Whether the events were taken is unknown.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {shown}: {reason}")]
pub(crate) struct NoAnswer {
    shown: String,
    reason: String,
}

impl Producer {
    /// Opens no connection yet.
    pub(crate) fn new(access: &Access) -> anyhow::Result<Self> {
        let authorization = access.token.as_ref().map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.0))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        let authorization = authorization.transpose();
        let http = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            // A token is for whom it was given, and no one else.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .context("an HTTP client")?;
        Ok(Self {
            http,
            events: access.url.events(),
            shown: access.url.to_string(),
            authorization: authorization.map_err(|_| {
                anyhow::anyhow!("the token has a character that no header can hold")
            })?,
        })
    }

    /// As it may be shown.
    pub(crate) fn address(&self) -> &str {
        &self.shown
    }

    /// Sends one event; without an id it gets one there.
    pub(crate) async fn send(
        &self,
        event: String,
        id: Option<&EventId>,
    ) -> Result<Verdict, NoAnswer> {
        let mut request = self.request("application/json");
        if let Some(id) = id {
            request = request.header("Idempotency-Key", id.as_str());
        }
        let sent = async {
            let answer = request.body(event).send().await?;
            let (status, retry_after) = (answer.status().as_u16(), retry_after(&answer));
            let body = answer.bytes().await?;
            Ok(Verdict::of(status, retry_after, &body))
        };
        sent.await.map_err(|error| self.no_answer(&error))
    }

    /// Sends a batch of so many lines.
    pub(crate) async fn send_batch(
        &self,
        ndjson: Bytes,
        lines: usize,
    ) -> Result<BatchAnswer, NoAnswer> {
        let request = self.request("application/x-ndjson").body(ndjson);
        let sent = async {
            let answer = request.send().await?;
            let (status, retry_after) = (answer.status().as_u16(), retry_after(&answer));
            let body = answer.bytes().await?;
            if matches!(status, 202 | 207 | 503)
                && let Some(verdicts) = read_lines(&body, lines, retry_after)
            {
                return Ok(BatchAnswer::Lines(verdicts));
            }
            Ok(match Verdict::of(status, retry_after, &body) {
                Verdict::Refused(refusal) if refusal.status == 413 => {
                    BatchAnswer::TooLarge(refusal)
                }
                Verdict::Refused(refusal) => BatchAnswer::Refused(refusal),
                Verdict::NotNow(refusal) => BatchAnswer::NotNow(refusal),
                Verdict::Taken(_) => BatchAnswer::NotNow(Refusal::own(
                    "The answer is not to all lines",
                    "it was cut off, or is that to one event",
                )),
            })
        };
        sent.await.map_err(|error| self.no_answer(&error))
    }

    fn request(&self, media_type: &'static str) -> reqwest::RequestBuilder {
        let request = self.http.post(self.events.clone());
        let request = request.header(CONTENT_TYPE, media_type);
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }

    fn no_answer(&self, error: &reqwest::Error) -> NoAnswer {
        // Its own words are "error sending request", with the URL, which may
        // hold a password; the last cause is what a person can act on.
        let mut cause: &dyn std::error::Error = error;
        while let Some(below) = cause.source() {
            cause = below;
        }
        let reason = if error.is_timeout() {
            "it took too long".to_owned()
        } else {
            cause.to_string()
        };
        NoAnswer {
            shown: self.shown.clone(),
            reason,
        }
    }
}

/// None unless there is one for each line: an answer that was cut is no answer.
fn read_lines(body: &[u8], lines: usize, retry_after: Option<Duration>) -> Option<Vec<Verdict>> {
    let answers = body.split(|byte| *byte == b'\n');
    let answers = answers.filter(|answer| !answer.is_empty());
    let verdicts: Option<Vec<Verdict>> = answers
        .map(|line| {
            let mut verdict = Verdict::of_line(line)?;
            if let Verdict::NotNow(refusal) = &mut verdict {
                refusal.retry_after = retry_after;
            }
            Some(verdict)
        })
        .collect();
    verdicts.filter(|verdicts| verdicts.len() == lines)
}

/// In seconds; the producer never sends a date.
fn retry_after(answer: &Response) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}
