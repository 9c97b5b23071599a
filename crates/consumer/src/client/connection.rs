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
use std::{future::Future, net::IpAddr, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

use super::{
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
        let sender = if is_http2 {
            let (sender, connection) = http2_builder().handshake(stream).await?;
            run(connection);
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1_builder().handshake(stream).await?;
            run(connection);
            Sender::Http1(sender)
        };
        Ok(Self {
            sender,
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

    /// Sends a request and waits until the answer's header section is complete.
    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> hyper::Result<Response<Incoming>> {
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                self.reception.restart();
                let reception = Arc::clone(&self.reception);
                on_informational(&mut request, move |_| reception.count_interim_answer());
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => sender.send_request(request).await?,
        };
        self.reception.restart();
        Ok(answer)
    }

    /// Returns true if the receiver has ended a connection in use without any byte of an
    /// answer. It may have received the request.
    pub(super) fn ended_without_answer(&self, error: &hyper::Error) -> bool {
        match self.sender {
            Sender::Http1(_) => self.reception.is_empty(),
            Sender::Http2(_) => failure::is_end_of_http2(error),
        }
    }

    /// Reads the rest of an answer within small limits. Returns true if another request
    /// can be sent afterwards.
    pub(super) async fn read_rest(&mut self, body: Incoming) -> bool {
        timeout(REST_LIMIT, self.read_to_end(body))
            .await
            .unwrap_or(false)
    }

    async fn read_to_end(&mut self, mut body: Incoming) -> bool {
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            self.reception.restart();
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

/// Runs a connection until it is closed. Its users get the errors.
fn run(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        let _closed = connection.await;
    });
}
