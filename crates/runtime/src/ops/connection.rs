//! HTTP/1.1 connection of a client, with bounds on the size and time of requests.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::timeout,
};

use super::write_timeout::WriteTimeout;
use crate::problem::{self, Problem};

/// Time limit for the headers, from the start of a request or the end of the last
/// one. Together with the producer's limit for the body, a request may take 30 s.
pub(super) const HEADERS_WITHIN: Duration = Duration::from_secs(15);
/// Size limit for the request line and all headers, and buffer size for a body. More
/// is answered 431, as are more than 100 headers (hyper's limit).
const HEADER_BYTES: usize = 32 << 10;
/// Time for which further input is discarded after the last response. Closing at once
/// could lose the response: the system resets a connection with unread bytes.
const LINGER: Duration = Duration::from_secs(1);

/// Answers requests until the client closes, fails or is too slow, or until `stopped`
/// has no sender and the request in flight is answered.
pub(super) async fn serve_connection(
    stream: TcpStream,
    router: Router,
    mut stopped: watch::Receiver<()>,
) {
    // A failure only costs a little speed.
    let _ = stream.set_nodelay(true);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(
            TokioIo::new(WriteTimeout::new(stream)),
            TowerToHyperService::new(router),
        );
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            _ = stopped.changed(), if !stopping => {}
        }
        stopping = true;
        Pin::new(&mut connection).graceful_shutdown();
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    let slow = ended.is_err_and(|error| error.is_timeout());
    // A client that sent nothing since the last response is closed without one.
    if slow && !parts.read_buf.is_empty() && stream.write_all(&too_slow()).await.is_err() {
        return;
    }
    if stream.shutdown().await.is_ok() && !stopping {
        let _ = timeout(LINGER, discard_input(&mut stream)).await;
    }
}

async fn discard_input(stream: &mut WriteTimeout) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

/// Returns the 408 response that hyper does not send when the headers take too long.
fn too_slow() -> Vec<u8> {
    let limit = HEADERS_WITHIN.as_secs();
    let body = problem::body(&Problem::too_slow(format!(
        "send the headers within {limit} s"
    )));
    let head = format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        problem::MEDIA_TYPE,
        body.len()
    );
    [head.into_bytes(), body].concat()
}
