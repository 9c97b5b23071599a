//! HTTP/1.1 connection of a client, with bounds on the size and time of requests.

use std::{future::poll_fn, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

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

use super::{
    activity::Activity, answer::ConnectionService, served::Served, write_timeout::WriteTimeout,
};
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

/// Connected client.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) activity: Arc<Activity>,
}

/// Answers requests until the client closes, fails or is too slow, until `stopped` has no
/// sender and the request in flight is answered, or until the server closes the idle
/// connection.
pub(super) async fn serve_connection(
    client: Client,
    served: Served,
    mut stopped: watch::Receiver<()>,
) {
    let Client {
        stream,
        peer,
        activity,
    } = client;
    let (activity, refusals) = (activity.as_ref(), served.refusals.as_deref());
    // A failure only costs a little speed.
    let _ = stream.set_nodelay(true);
    let service = ConnectionService {
        router: TowerToHyperService::new(served.router),
        peer,
        activity,
        refusals,
        adds_peer: served.adds_peers,
    };
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream)), service);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            _ = stopped.changed(), if !stopping => {}
            () = activity.close_requested(), if !stopping => {
                if activity.idle_since().is_some() {
                    return;
                }
            }
        }
        stopping = true;
        Pin::new(&mut connection).graceful_shutdown();
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    // A client that sent nothing since the last response is closed without one.
    let is_slow = |error: &hyper::Error| error.is_timeout() && !parts.read_buf.is_empty();
    let refused = match &ended {
        Err(error) if is_slow(error) => Some("too_slow"),
        Err(error) if error.is_parse() => Some("not_http"),
        _ => None,
    };
    if let Some((log, reason)) = refusals.zip(refused) {
        log.note_unread(peer, reason);
    }
    if ended.as_ref().is_err_and(is_slow) && stream.write_all(&too_slow()).await.is_err() {
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
