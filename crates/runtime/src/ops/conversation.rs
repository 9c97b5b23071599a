//! One client's connection: HTTP/1.1 with bounds on what it may send and on
//! how long it may take.

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

use super::patience::Patient;
use crate::problem::{self, Problem};

/// From the first moment of a request (or of silence after the last one) until
/// its headers are here. With the producer's limit on the body this makes the
/// 30 s that a request may take.
pub(super) const HEADERS_WITHIN: Duration = Duration::from_secs(15);
/// The request line and all headers together, and what is read of a body at
/// once. More is answered 431, as are more than 100 headers (hyper's limit).
const HEADER_BYTES: usize = 32 << 10;
/// How long a client may go on sending what nobody wants to read any more. To
/// close at once would take the answer away from it: the system resets a
/// connection on which unread bytes lie.
const LINGER: Duration = Duration::from_secs(1);

/// Answers requests until the client leaves, errs or is too slow, or until
/// `stopped` has no sender any more and the request under way is answered.
pub(super) async fn hold(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>) {
    // Only costs a little speed where the system refuses.
    let _ = stream.set_nodelay(true);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(
            TokioIo::new(Patient::new(stream)),
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
    // Whoever has said nothing since the last answer is closed silently.
    if slow && !parts.read_buf.is_empty() && stream.write_all(&too_slow()).await.is_err() {
        return;
    }
    if stream.shutdown().await.is_ok() && !stopping {
        let _ = timeout(LINGER, read_to_nowhere(&mut stream)).await;
    }
}

async fn read_to_nowhere(stream: &mut Patient) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

/// hyper closes without a word when the headers take too long.
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
