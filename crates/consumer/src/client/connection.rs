//! Connection to a webhook, over HTTP/1.1 or HTTP/2.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::{http1, http2},
    ext::on_informational,
    http::Extensions,
};
use hyper_util::client::legacy::connect::{Connected, HttpInfo};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{future::Future, net::IpAddr, pin::pin, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    body_start::BodyStart,
    connector::Stream,
    reception::{Counted, Reception},
};
use crate::failure;

pub(super) type RequestBody = Full<Bytes>;

/// Maximum number of header lines of an HTTP/1.1 answer.
const MOST_HEADERS: usize = 256;
/// HTTP/2 ping interval and timeout. All requests share one connection; without pings
/// a dead connection would fail them all for many minutes.
const HTTP2_PING: Duration = Duration::from_secs(10);
/// HTTP/2 flow-control windows of one answer and of all answers of a connection. Answers are
/// read only to reuse the connection.
const HTTP2_WINDOWS: (u32, u32) = (64 * 1024, 512 * 1024);

/// Limits of the rest of an answer, which is read only to reuse the connection.
const MOST_REST_BYTES: usize = 64 * 1024;
const REST_LIMIT: Duration = Duration::from_secs(1);

/// Open connection. Dropping it closes an HTTP/1.1 connection; an HTTP/2 connection closes
/// with the last clone.
pub(super) struct Connection {
    sender: Sender,
    /// Cancelled when the connection's task has ended.
    ended: CancellationToken,
    reception: Arc<Reception>,
    /// Instant at which it was opened.
    pub(super) opened: Instant,
    /// Address of the server or proxy, if known.
    pub(super) remote: Option<IpAddr>,
    /// A proxy forwards the requests, and needs the whole URL in each.
    pub(super) is_proxied: bool,
}

enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

/// Failure of a request.
pub(super) struct Unanswered {
    pub(super) error: hyper::Error,
    /// The receiver has ended the connection without any byte of an answer. It may have
    /// received the request.
    pub(super) is_ended: bool,
}

impl Connection {
    /// Starts HTTP on a stream, in the version that TLS has negotiated.
    ///
    /// # Errors
    /// Fails if the stream closes at once.
    pub(super) async fn open(stream: Box<dyn Stream>) -> hyper::Result<Self> {
        let connected = stream.connected();
        let reception = Arc::new(Reception::default());
        let is_http2 = connected.is_negotiated_h2();
        let stream = Counted::new(TokioIo::new(stream), Arc::clone(&reception), !is_http2);
        let stream = TokioIo::new(stream);
        let (sender, ended) = if is_http2 {
            let (sender, connection) = http2_builder().handshake(stream).await?;
            (Sender::Http2(sender), run(connection))
        } else {
            let (sender, connection) = http1_builder().handshake(stream).await?;
            (Sender::Http1(sender), run(connection))
        };
        Ok(Self {
            sender,
            ended,
            reception,
            opened: Instant::now(),
            remote: remote_address(&connected),
            is_proxied: connected.is_proxied(),
        })
    }

    /// Returns another handle to an HTTP/2 connection, whose requests do not wait for each
    /// other, or `None` for HTTP/1.1.
    pub(super) fn share(&self) -> Option<Self> {
        let Sender::Http2(sender) = &self.sender else {
            return None;
        };
        Some(Self {
            sender: Sender::Http2(sender.clone()),
            ended: self.ended.clone(),
            reception: Arc::clone(&self.reception),
            ..*self
        })
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Returns true if a request can be sent now, as far as known.
    pub(super) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender) => sender.is_ready(),
        }
    }

    /// Sends a request and waits until the answer's header section is complete. Returns the
    /// answer, and the connection unless it has ended.
    pub(super) async fn send(
        self,
        mut request: Request<RequestBody>,
    ) -> Result<(Option<Self>, Response<Incoming>), Unanswered> {
        let (reception, ended) = (&self.reception, &self.ended);
        let (sender, answer) = match self.sender {
            Sender::Http1(mut sender) => {
                reception.restart();
                let counted = Arc::clone(reception);
                on_informational(&mut request, move |_| counted.count_interim_answer());
                let sending = sender.send_request(request);
                let sent = until_ended(Sender::Http1(sender), sending, ended).await;
                sent.map_err(|error| Unanswered {
                    error,
                    is_ended: reception.is_empty(),
                })?
            }
            Sender::Http2(mut sender) => {
                let sending = sender.send_request(request);
                let sent = until_ended(Sender::Http2(sender), sending, ended).await;
                sent.map_err(|error| Unanswered {
                    is_ended: failure::is_end_of_http2(&error),
                    error,
                })?
            }
        };
        reception.restart();
        let connection = sender.map(|sender| Self { sender, ..self });
        Ok((connection, answer))
    }

    /// Reads the rest of an answer within small limits, and keeps its start if that is wanted.
    /// Returns true if another request can be sent afterwards.
    pub(super) async fn read_rest(
        &mut self,
        body: Incoming,
        start: Option<&mut BodyStart>,
    ) -> bool {
        timeout(REST_LIMIT, self.read_to_end(body, start))
            .await
            .unwrap_or(false)
    }

    async fn read_to_end(&mut self, mut body: Incoming, mut start: Option<&mut BodyStart>) -> bool {
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            self.reception.restart();
            if let (Some(start), Some(data)) = (&mut start, frame.data_ref()) {
                start.add(data);
            }
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > MOST_REST_BYTES {
                return false;
            }
        }
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(_) => true,
        }
    }
}

/// Waits for the answer to a request. Returns it, and the sender unless the connection has
/// ended.
///
/// A request that is handed over at the moment in which the connection's task ends can remain
/// in hyper's channel, unanswered, as long as a sender exists. So the sender is dropped when
/// the task has ended, which fails the request.
async fn until_ended(
    sender: Sender,
    sending: impl Future<Output = hyper::Result<Response<Incoming>>>,
    ended: &CancellationToken,
) -> hyper::Result<(Option<Sender>, Response<Incoming>)> {
    let mut sending = pin!(sending);
    tokio::select! {
        biased;
        answer = &mut sending => Ok((Some(sender), answer?)),
        () = ended.cancelled() => {
            drop(sender);
            Ok((None, sending.await?))
        }
    }
}

fn remote_address(connected: &Connected) -> Option<IpAddr> {
    let mut extensions = Extensions::new();
    connected.get_extras(&mut extensions);
    let info: &HttpInfo = extensions.get()?;
    Some(info.remote_addr().ip())
}

/// Accepts header lines that other clients accept too: the status is what counts.
fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_headers(MOST_HEADERS)
        .ignore_invalid_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let (answer, connection) = HTTP2_WINDOWS;
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(answer)
        .initial_connection_window_size(connection)
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING);
    builder
}

/// Runs a connection until it is closed. Its users get the errors. Returns a token that is
/// cancelled afterwards.
fn run(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> CancellationToken {
    let ended = CancellationToken::new();
    let end = ended.clone().drop_guard();
    tokio::spawn(async move {
        let _closed = connection.await;
        drop(end);
    });
    ended
}
