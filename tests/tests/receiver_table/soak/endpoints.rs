//! Hostile endpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::clients::{self, continuation, frame, pings, settings};
use crate::authority::{Authority, acceptor, certificate_for};

/// Time for which an endpoint without an answer keeps a connection.
const KEPT: Duration = Duration::from_secs(30);

/// Running endpoint.
pub(super) struct HostileEndpoint {
    pub(super) name: &'static str,
    pub(super) url: String,
    /// Number of connections with a request.
    requests: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl HostileEndpoint {
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for HostileEndpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Behaviour of an endpoint after the first bytes of a request.
#[derive(Clone)]
struct Reply {
    /// Written first.
    start: Vec<u8>,
    /// Written again and again; nothing if empty.
    endless: Vec<u8>,
    reads: bool,
}

pub(super) async fn start_all(authority: &Authority) -> Vec<HostileEndpoint> {
    let http1 = |start: &str, endless: &str| Reply {
        start: start.as_bytes().to_vec(),
        endless: endless.as_bytes().to_vec(),
        reads: true,
    };
    let http2 = |endless| Reply {
        start: frame(4, 0, 0, &[]),
        endless,
        reads: true,
    };
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let header = format!("x-a: {}\r\n", "x".repeat(1_000));
    let chunked = "HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n";
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100);
    let never_reads = Reply {
        reads: false,
        ..http1("", "")
    };
    let plain = [
        ("endless-headers", http1("HTTP/1.1 200 OK\r\n", &header)),
        ("endless-body", http1(chunked, &chunk)),
        ("endless-interim", http1("", &interim)),
        ("gzip-bomb", gzip_bomb()),
        ("never-reads", never_reads),
    ];
    let floods = [
        ("settings-flood", http2(settings())),
        ("ping-flood", http2(pings())),
        ("continuation-flood", http2(continuation())),
        ("reset-flood", http2(resets())),
    ];
    let mut endpoints = Vec::new();
    for (name, reply) in plain {
        endpoints.push(start(name, reply, None).await);
    }
    let mut config = authority.server(&certificate_for("127.0.0.1"));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = acceptor(config);
    for (name, reply) in floods {
        endpoints.push(start(name, reply, Some(tls.clone())).await);
    }
    endpoints
}

async fn start(name: &'static str, reply: Reply, tls: Option<TlsAcceptor>) -> HostileEndpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}/webhook", listener.local_addr().unwrap());
    let requests = Arc::<AtomicUsize>::default();
    let served = Arc::clone(&requests);
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reply, tls, served) = (reply.clone(), tls.clone(), Arc::clone(&served));
            tokio::spawn(async move {
                // The client closes the connection.
                let _closed = match tls {
                    None => answer(stream, &reply, &served).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => answer(stream, &reply, &served).await,
                        Err(error) => Err(error),
                    },
                };
            });
        }
    });
    HostileEndpoint {
        name,
        url,
        requests,
        server,
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite,
    reply: &Reply,
    requests: &AtomicUsize,
) -> std::io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    if !reply.reads {
        requests.fetch_add(1, Ordering::Relaxed);
        sleep(KEPT).await;
        return Ok(());
    }
    reader.read_exact(&mut [0; 24]).await?;
    requests.fetch_add(1, Ordering::Relaxed);
    let read = async {
        while reader.read(&mut [0; 4_096]).await? > 0 {}
        std::io::Result::Ok(())
    };
    let write = async {
        writer.write_all(&reply.start).await?;
        if reply.endless.is_empty() {
            sleep(KEPT).await;
            return std::io::Result::Ok(());
        }
        loop {
            writer.write_all(&reply.endless).await?;
        }
    };
    tokio::select! {
        closed = read => closed,
        refused = write => refused,
    }
}

/// Answer that claims to be small, and is large when it is inflated.
fn gzip_bomb() -> Reply {
    let body = clients::gzip_bomb();
    let length = body.len();
    let head =
        format!("HTTP/1.1 500 No\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n");
    let mut start = head.into_bytes();
    start.extend(body);
    Reply {
        start,
        endless: Vec::new(),
        reads: true,
    }
}

/// Resets of the first streams of a connection.
fn resets() -> Vec<u8> {
    let streams = (0..200).map(|n| 2 * n + 1);
    let frames = streams.flat_map(|stream| frame(3, 0, stream, &8_u32.to_be_bytes()));
    frames.collect()
}
