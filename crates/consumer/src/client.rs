//! One attempt over HTTP: the signed POST, under one deadline, and what became
//! of it.

use bytes::Bytes;
use reqwest::{
    Client, Method, Request, Response, StatusCode, Url,
    dns::Resolve,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use std::{future::Future, time::Duration};
use tokio::time::timeout;
use wahook_domain::{Outcome, QueuedEvent, Signer, UnixMillis, parse_retry_after};
use wahook_runtime::settings::redact_url;

use crate::failure;

/// What receivers know the system by.
pub(crate) const USER_AGENT: &str = "WhatsApp-Web-API/2.0";

const SIGNATURE: HeaderName = HeaderName::from_static("x-webhook-signature");
const EVENT: HeaderName = HeaderName::from_static("x-webhook-event");
const ATTEMPT: HeaderName = HeaderName::from_static("x-webhook-attempt");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Those that are ours, and what the HTTP client adds: room for all at once.
const HEADERS: usize = 12;

/// An answer's body is read to its end, so that the connection can be used
/// again, but no further than this many bytes: then it is dropped.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Idle connections are closed before the shortest common server limit (60 s)
/// closes them under a request.
const IDLE_LIMIT: Duration = Duration::from_secs(50);
/// On HTTP/2 all requests share a connection. One that has died without a word
/// would fail them all for many minutes; a ping that stays without answer for
/// as long again ends it.
const HTTP2_PING: Duration = Duration::from_secs(10);

/// Where and how an endpoint is called.
pub(crate) struct EndpointClient {
    url: Url,
    signer: Option<Signer>,
    limit: Duration,
    http: Client,
    /// Sent beside ours, none of which is among them.
    headers: HeaderMap,
}

impl EndpointClient {
    /// `limit` is the time that connecting, the request and the whole answer
    /// may take together; `concurrency` is how many requests are made at once.
    pub(crate) fn new(
        url: Url,
        signer: Option<Signer>,
        limit: Duration,
        concurrency: usize,
        resolver: impl Resolve + 'static,
    ) -> reqwest::Result<Self> {
        let http = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(concurrency)
            .pool_idle_timeout(IDLE_LIMIT)
            .http2_keep_alive_interval(HTTP2_PING)
            .http2_keep_alive_timeout(HTTP2_PING)
            .dns_resolver(resolver)
            .build()?;
        Ok(Self {
            url,
            signer,
            limit,
            http,
            headers: HeaderMap::new(),
        })
    }

    /// Sends these headers too.
    #[must_use]
    pub(crate) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Makes one attempt. `now` is stamped into the request.
    pub(crate) async fn post(&self, event: &QueuedEvent, now: UnixMillis) -> Outcome {
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.reserve(self.headers.len() + HEADERS);
        headers.extend(self.headers.clone());
        put_headers(headers, event, self.signer.as_ref(), now);
        *request.body_mut() = Some(event.body.bytes().into());
        within(self.limit, async {
            match self.http.execute(request).await {
                Ok(answer) => read(answer, now).await,
                Err(error) => failure::outcome_of(&error),
            }
        })
        .await
    }
}

async fn within(limit: Duration, attempt: impl Future<Output = Outcome>) -> Outcome {
    timeout(limit, attempt)
        .await
        .unwrap_or(Outcome::TimedOut { limit })
}

/// Puts the request's headers; `now` stamps the Standard Webhooks signature, anew on
/// every attempt, since receivers refuse an old one.
pub fn put_headers(
    headers: &mut HeaderMap,
    event: &QueuedEvent,
    signer: Option<&Signer>,
    now: UnixMillis,
) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    // Each value below is printable ASCII by its type's own rule; one that were
    // not would be left out rather than stop a delivery.
    let mut put = |name: HeaderName, value: Bytes| {
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            headers.insert(name, value);
        }
    };
    put(
        EVENT,
        Bytes::copy_from_slice(event.name.as_str().as_bytes()),
    );
    put(ATTEMPT, event.attempt.get().to_string().into());
    put(
        WEBHOOK_ID,
        Bytes::copy_from_slice(event.id.as_str().as_bytes()),
    );
    put(WEBHOOK_TIMESTAMP, now.seconds().to_string().into());
    if let Some(signer) = signer {
        let body = event.body.as_bytes();
        put(SIGNATURE, signer.body_signature(body).into());
        put(
            WEBHOOK_SIGNATURE,
            signer
                .standard_webhooks(&event.id, now.seconds(), body)
                .into(),
        );
    }
    if let Some(traceparent) = &event.traceparent {
        put(TRACEPARENT, traceparent.clone().into());
    }
}

/// Reads the answer to its end: one that breaks off is no success.
async fn read(mut answer: Response, now: UnixMillis) -> Outcome {
    let outcome = judge(answer.status(), answer.headers(), now);
    let mut read = 0;
    while read < MAX_ANSWER_BYTES {
        match answer.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) => break,
            Err(error) if outcome.is_success() => return failure::outcome_of(&error),
            // It was a failure already, and its status says more.
            Err(_) => break,
        }
    }
    outcome
}

/// What an answer says, by its status and headers; `now` is what a date in them is told
/// from.
pub fn judge(status: StatusCode, headers: &HeaderMap, now: UnixMillis) -> Outcome {
    let text = |name| {
        let value: &HeaderValue = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()))
    };
    let code = status.as_u16();
    if status.is_success() {
        Outcome::Delivered { status: code }
    } else if status.is_redirection() {
        let location = text(header::LOCATION).map(|location| redact_url(&location));
        Outcome::Redirected {
            status: code,
            location,
        }
    } else {
        let retry_after = text(header::RETRY_AFTER).and_then(|v| parse_retry_after(&v, now));
        Outcome::Answered {
            status: code,
            retry_after,
        }
    }
}

#[cfg(test)]
mod tests;
