//! HTTP client of the producer.

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
    settings::{Access, ProducerOptions},
};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The producer reads a body for at most 15 s and then waits for the broker.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Limit for the answer to one event, in bytes.
const ANSWER_BYTES: usize = 1 << 20;
/// Additional bytes for each line of a batch.
const LINE_BYTES: usize = 16 << 10;

/// Returns the function that reads address and token of the producer.
pub(crate) fn access(options: ProducerOptions) -> impl FnOnce(&mut Settings) -> Option<Access> {
    |settings| options.read(settings)
}

#[derive(Debug)]
pub(crate) struct Producer {
    http: Client,
    events: Url,
    /// Address without password.
    shown: String,
    authorization: Option<HeaderValue>,
}

/// Result of sending a batch.
#[derive(Debug)]
pub(crate) enum BatchAnswer {
    /// Verdict for each line, in order.
    Lines(Vec<Verdict>),
    /// A smaller batch may be accepted.
    TooLarge(Refusal),
    /// Every batch would be rejected.
    Refused(Refusal),
    /// No line has a verdict; a retry may succeed.
    NotNow(Refusal),
}

/// Missing or incomplete answer: the events may have been accepted or not.
#[derive(Debug, thiserror::Error)]
#[error("no answer from {shown}: {reason}")]
pub(crate) struct NoAnswer {
    shown: String,
    reason: String,
}

impl Producer {
    /// Creates the client. The first request opens the connection.
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
            // A redirect would send the token to another server.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .context("can't create an HTTP client")?;
        Ok(Self {
            http,
            events: access.url.events(),
            shown: access.url.to_string(),
            authorization: authorization.map_err(|_| {
                anyhow::anyhow!("the token has a character that is invalid in a header")
            })?,
        })
    }

    /// Returns the address without password.
    pub(crate) fn address(&self) -> &str {
        &self.shown
    }

    /// Sends one event. Without `id`, the producer assigns one.
    pub(crate) async fn send(
        &self,
        event: String,
        id: Option<&EventId>,
    ) -> Result<Verdict, NoAnswer> {
        let mut request = self.request("application/json");
        if let Some(id) = id {
            request = request.header("Idempotency-Key", id.as_str());
        }
        let answer = request.body(event).send().await;
        let answer = answer.map_err(|error| self.no_answer(&error))?;
        let (status, retry_after) = (answer.status().as_u16(), retry_after(&answer));
        let body = self.read(answer, ANSWER_BYTES).await?;
        Ok(Verdict::from_answer(status, retry_after, &body))
    }

    /// Sends a batch that has this number of lines.
    pub(crate) async fn send_batch(
        &self,
        ndjson: Bytes,
        lines: usize,
    ) -> Result<BatchAnswer, NoAnswer> {
        let request = self.request("application/x-ndjson").body(ndjson);
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.no_answer(&error))?;
        let (status, retry_after) = (answer.status().as_u16(), retry_after(&answer));
        let limit = ANSWER_BYTES.saturating_add(LINE_BYTES.saturating_mul(lines));
        let body = self.read(answer, limit).await?;
        if matches!(status, 202 | 207 | 503)
            && let Some(verdicts) = read_lines(&body, lines, retry_after)
        {
            return Ok(BatchAnswer::Lines(verdicts));
        }
        Ok(match Verdict::from_answer(status, retry_after, &body) {
            Verdict::Refused(refusal) if refusal.status == 413 => BatchAnswer::TooLarge(refusal),
            Verdict::Refused(refusal) => BatchAnswer::Refused(refusal),
            Verdict::NotNow(refusal) => BatchAnswer::NotNow(refusal),
            Verdict::Accepted(_) => BatchAnswer::NotNow(Refusal::local(
                "The answer does not cover all lines",
                "it was cut off, or is the answer to a single event",
            )),
        })
    }

    /// Reads the body of an answer, at most `limit` bytes.
    async fn read(&self, mut answer: Response, limit: usize) -> Result<Vec<u8>, NoAnswer> {
        let mut body = Vec::new();
        loop {
            let chunk = answer.chunk().await;
            let Some(chunk) = chunk.map_err(|error| self.no_answer(&error))? else {
                return Ok(body);
            };
            if body.len().saturating_add(chunk.len()) > limit {
                return Err(NoAnswer {
                    shown: self.shown.clone(),
                    reason: format!("the answer is longer than {limit} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
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
        // The error itself says "error sending request" and has the URL, which may contain
        // a password. The innermost cause is what an operator can act on.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let reason = if error.is_timeout() {
            "timed out".to_owned()
        } else {
            cause.to_string()
        };
        NoAnswer {
            shown: self.shown.clone(),
            reason,
        }
    }
}

/// Returns a verdict for each line, or `None` if the answer is incomplete.
fn read_lines(body: &[u8], lines: usize, retry_after: Option<Duration>) -> Option<Vec<Verdict>> {
    let answers = body.split(|byte| *byte == b'\n');
    let answers = answers.filter(|answer| !answer.is_empty());
    let verdicts: Option<Vec<Verdict>> = answers
        .map(|line| {
            let mut verdict = Verdict::from_line(line)?;
            if let Verdict::NotNow(refusal) = &mut verdict {
                refusal.retry_after = retry_after;
            }
            Some(verdict)
        })
        .collect();
    verdicts.filter(|verdicts| verdicts.len() == lines)
}

/// Reads `Retry-After` in seconds; the producer never sends a date.
fn retry_after(answer: &Response) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}
