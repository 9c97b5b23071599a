//! HTTP client of an endpoint: one signed POST under one deadline, and its outcome.

mod connections;

use bytes::Bytes;
use reqwest::{
    Client, Method, Request, Response, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use std::{future::Future, time::Duration};
use tokio::time::timeout;
use wahook_domain::{Outcome, QueuedEvent, Signer, UnixMillis, parse_retry_after};
use wahook_runtime::settings::redact_reference;

use crate::{failure, network::Network, resolver::LastAnswered};
use connections::Connections;

/// `User-Agent` of every delivery.
pub(crate) const USER_AGENT: &str = "WhatsApp-Web-API/2.0";

const SIGNATURE: HeaderName = HeaderName::from_static("x-webhook-signature");
const EVENT: HeaderName = HeaderName::from_static("x-webhook-event");
const ATTEMPT: HeaderName = HeaderName::from_static("x-webhook-attempt");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Header capacity to reserve: for the headers set here and those of the HTTP client.
const HEADERS: usize = 12;

/// Maximum number of response bytes to read. A response is read to its end, so that
/// the connection can be reused; a longer one is dropped.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// Idle connections are closed before servers close them during a request; the
/// shortest common server limit is 60 s.
const IDLE_LIMIT: Duration = Duration::from_secs(50);
/// HTTP/2 ping interval and timeout. All requests share one connection; without pings
/// a dead connection would fail them all for many minutes.
const HTTP2_PING: Duration = Duration::from_secs(10);

/// HTTP client for one endpoint.
pub(crate) struct EndpointClient {
    url: Url,
    signer: Option<Signer>,
    limit: Duration,
    http: Connections,
    /// Address of the last answer.
    answered: LastAnswered,
    /// Custom headers; none has the name of a built-in one.
    headers: HeaderMap,
}

impl EndpointClient {
    /// Creates a client. `limit` covers connecting, the request and the whole response;
    /// `concurrency` is the number of simultaneous requests.
    pub(crate) fn new(
        url: Url,
        signer: Option<Signer>,
        limit: Duration,
        concurrency: usize,
        network: Network,
    ) -> reqwest::Result<Self> {
        let answered = network.answered.clone();
        let http = Connections::new(network.connection_age, move || {
            let builder = Client::builder()
                .user_agent(USER_AGENT)
                .redirect(redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .tcp_nodelay(true)
                .pool_max_idle_per_host(concurrency)
                .pool_idle_timeout(IDLE_LIMIT)
                .http2_keep_alive_interval(HTTP2_PING)
                .http2_keep_alive_timeout(HTTP2_PING);
            network.apply(builder, limit)?.build()
        })?;
        Ok(Self {
            url,
            signer,
            limit,
            http,
            answered,
            headers: HeaderMap::new(),
        })
    }

    /// Adds custom headers to every request.
    #[must_use]
    pub(crate) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Closes idle connections.
    pub(crate) fn close_idle(&self) {
        self.http.close_idle();
    }

    /// Makes one attempt; `now` is the timestamp in the request.
    pub(crate) async fn post(&self, event: &QueuedEvent, now: UnixMillis) -> Outcome {
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.reserve(self.headers.len() + HEADERS);
        headers.extend(self.headers.clone());
        put_headers(headers, event, self.signer.as_ref(), now);
        *request.body_mut() = Some(event.body.bytes().into());
        within(self.limit, async {
            match self.http.client().execute(request).await {
                Ok(response) => {
                    if let Some(address) = response.remote_addr() {
                        self.answered.set(address.ip());
                    }
                    read(response, now).await
                }
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

/// Sets the request's headers. `now` is the timestamp of the Standard Webhooks
/// signature; each attempt has its own, since receivers reject old ones.
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
    // Each value below is printable ASCII by the rule of its type. An invalid value
    // would be left out rather than stop the delivery.
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

/// Reads the response to its end: a truncated one is no success.
async fn read(mut response: Response, now: UnixMillis) -> Outcome {
    let outcome = judge(response.status(), response.headers(), now);
    let mut read = 0;
    while read < MAX_RESPONSE_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) => break,
            Err(error) if outcome.is_success() => return failure::outcome_of(&error),
            // A failure already, and the status is more informative.
            Err(_) => break,
        }
    }
    outcome
}

/// Returns the outcome of a response from its status and headers. `now` is the reference
/// for a date in `Retry-After`.
pub fn judge(status: StatusCode, headers: &HeaderMap, now: UnixMillis) -> Outcome {
    let text = |name| {
        let value: &HeaderValue = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()))
    };
    let code = status.as_u16();
    if status.is_success() {
        Outcome::Delivered { status: code }
    } else if status.is_redirection() {
        let location = text(header::LOCATION).map(|location| redact_reference(&location));
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
pub(crate) mod tests;
