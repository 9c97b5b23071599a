//! HTTP client of an endpoint: one signed POST under one deadline, and its outcome.
//!
//! reqwest opens connections, hyper speaks HTTP on them, and the pool of this module keeps
//! them (decision 44).

mod body_start;
mod connection;
mod connector;
mod deadline;
mod headers;
mod keep_alive;
mod pool;
mod reception;
mod redirect;
mod target;

use hyper::{Request, Response, body::Incoming};
use reqwest::{
    Client, Method, StatusCode, Url,
    header::{self, HeaderMap, HeaderValue},
    redirect::Policy,
};
use std::{sync::Arc, time::Duration};
use wahook_domain::{
    BodyForm, Outcome, QueuedEvent, RedirectFault, Signer, UnixMillis, parse_retry_after,
};
use wahook_runtime::settings::redact_reference;

pub use self::headers::put_headers;
use self::{
    body_start::BodyStart,
    connection::{Connection, RequestBody, Unanswered},
    connector::{BoxError, Connector},
    deadline::within,
    pool::Pool,
    target::Target,
};
use crate::{failure, network::Network, resolver::LastAnswered};

/// `User-Agent` of every delivery.
pub(crate) const USER_AGENT: &str = "WhatsApp-Web-API/2.0";

/// Header capacity to reserve: for the headers set here and those of the HTTP client.
const HEADERS: usize = 12;

/// HTTP client for one endpoint.
pub(crate) struct EndpointClient {
    target: Target,
    signer: Option<Signer>,
    body: BodyForm,
    /// Redirects within the host are followed.
    follows_redirects: bool,
    limit: Duration,
    connector: Connector,
    pool: Arc<Pool>,
    /// Address of the last answer on a new connection.
    answered: LastAnswered,
    /// Headers of every request that do not depend on the event.
    headers: HeaderMap,
}

/// Answer to a request.
struct Exchanged {
    /// Connection of the answer, unless it has ended.
    connection: Option<Connection>,
    answer: Response<Incoming>,
    /// The answer is from the scheme, host and port of the URL, whose connections are kept.
    is_at_home: bool,
    /// Reason for which the answer's redirect is not followed.
    fault: Option<RedirectFault>,
}

/// What one attempt has led to.
pub(crate) struct Posted {
    pub(crate) outcome: Outcome,
    /// Start of the response's body after a failure.
    pub(crate) response: Option<Arc<str>>,
}

impl From<Outcome> for Posted {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            response: None,
        }
    }
}

impl Exchanged {
    fn at_home((connection, answer): (Option<Connection>, Response<Incoming>)) -> Self {
        Self {
            connection,
            answer,
            is_at_home: true,
            fault: None,
        }
    }
}

impl EndpointClient {
    /// Creates a client. `limit` covers connecting, the request and the answer's header
    /// section; `concurrency` is the number of simultaneous requests.
    ///
    /// # Errors
    /// Fails if the URL is not usable, or a setting of the connections is invalid.
    pub(crate) fn new(
        url: Url,
        signer: Option<Signer>,
        limit: Duration,
        concurrency: usize,
        network: Network,
    ) -> anyhow::Result<Self> {
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true);
        let builder = network.apply(builder, limit)?;
        Ok(Self {
            target: Target::new(&url, network.proxy.as_ref())?,
            signer,
            body: BodyForm::default(),
            follows_redirects: false,
            limit,
            connector: Connector::new(builder, url)?,
            pool: Pool::new(concurrency, network.connection_age),
            answered: network.answered,
            headers: HeaderMap::from_iter([
                (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
                (header::ACCEPT, HeaderValue::from_static("*/*")),
            ]),
        })
    }

    /// Adds custom headers to every request. Only `tracestate` and `baggage` of an event can
    /// have the name of one, and replace it.
    #[must_use]
    pub(crate) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Sends bodies in another form.
    #[must_use]
    pub(crate) fn with_body(self, body: BodyForm) -> Self {
        Self { body, ..self }
    }

    /// Follows redirects within the host, or not.
    #[must_use]
    pub(crate) fn with_redirects(self, follows_redirects: bool) -> Self {
        Self {
            follows_redirects,
            ..self
        }
    }

    /// Closes connections without a request.
    pub(crate) fn close_idle(&self) {
        self.pool.close_all();
    }

    /// Makes one attempt; `now` is the timestamp in the request.
    ///
    /// The status decides as soon as the answer's header section is complete. The rest of
    /// the answer is read only to reuse the connection, and for its start after a failure.
    pub(crate) async fn post(&self, event: &QueuedEvent, now: UnixMillis) -> Posted {
        let limit = self.limit;
        let exchanged = match within(limit, self.attempt(event, now)).await {
            Some(Ok(exchanged)) => exchanged,
            Some(Err(error)) => return failure::outcome_of(&*error).into(),
            None => return Outcome::TimedOut { limit }.into(),
        };
        let answer = &exchanged.answer;
        let mut outcome = classify(answer.status(), answer.headers(), now);
        if let Outcome::Redirected { fault, .. } = &mut outcome {
            *fault = exchanged.fault;
        }
        let mut start = (!outcome.is_success()).then(BodyStart::default);
        self.read_rest(exchanged, start.as_mut()).await;
        let response = start.and_then(|start| start.text());
        Posted { outcome, response }
    }

    async fn attempt(&self, event: &QueuedEvent, now: UnixMillis) -> Result<Exchanged, BoxError> {
        let exchanged = self.exchange(event, now, &self.target).await?;
        if self.follows_redirects && exchanged.answer.status().is_redirection() {
            // In a box, so that other attempts do not grow.
            return Box::pin(self.follow(exchanged, event, now)).await;
        }
        Ok(exchanged)
    }

    /// Reads the rest of an answer, and keeps its connection for another request.
    async fn read_rest(&self, exchanged: Exchanged, start: Option<&mut BodyStart>) {
        let kept_for = keep_alive::timeout(exchanged.answer.headers());
        let body = exchanged.answer.into_body();
        if let Some(mut connection) = exchanged.connection
            && connection.read_rest(body, start).await
            && !connection.is_http2()
            && exchanged.is_at_home
        {
            self.pool.keep(connection, kept_for);
        }
    }

    /// Sends the request on a kept connection or on a new one, and waits for an answer's
    /// header section.
    ///
    /// A receiver may close a kept connection while the request is on its way. Then the
    /// request is repeated, once, on a new connection: the event may arrive twice, with the
    /// same id.
    async fn exchange(
        &self,
        event: &QueuedEvent,
        now: UnixMillis,
        target: &Target,
    ) -> Result<Exchanged, BoxError> {
        if let Some(kept) = self.pool.take() {
            let request = self.request(event, now, target, &kept);
            match kept.send(request).await {
                Ok(answered) => return Ok(Exchanged::at_home(answered)),
                Err(Unanswered { error, is_ended }) if is_ended => {
                    tracing::debug!(id = %event.id, %error, "kept connection ended, request repeated on a new one");
                }
                Err(Unanswered { error, .. }) => return Err(error.into()),
            }
        }
        let new = Connection::open(self.connector.connect(self.connector.url()).await?).await?;
        self.pool.share(&new);
        let (request, remote) = (self.request(event, now, target, &new), new.remote);
        let answered = new.send(request).await.map_err(|failed| failed.error)?;
        if let Some(address) = remote {
            self.answered.set(address);
        }
        Ok(Exchanged::at_home(answered))
    }

    fn request(
        &self,
        event: &QueuedEvent,
        now: UnixMillis,
        target: &Target,
        connection: &Connection,
    ) -> Request<RequestBody> {
        let mut request = Request::new(event.body_in(self.body).bytes().into());
        *request.method_mut() = Method::POST;
        let mut headers = self.headers.clone();
        headers.reserve(HEADERS);
        *request.uri_mut() = target.address(&mut headers, connection);
        put_headers(&mut headers, event, self.body, self.signer.as_ref(), now);
        *request.headers_mut() = headers;
        request
    }
}

/// Returns the outcome of a response from its status and headers. `now` is the reference
/// for a date in `Retry-After`.
pub fn classify(status: StatusCode, headers: &HeaderMap, now: UnixMillis) -> Outcome {
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
            fault: None,
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
