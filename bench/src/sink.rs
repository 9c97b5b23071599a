//! Webhook of the benchmarks: counts requests at minimal cost.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::event;

/// Longest time without an arrival before a run fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Behaviour of the webhook.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Behaviour {
    /// Delay before each answer.
    pub(crate) delay: Duration,
    /// Answers the first attempt of every tenth event with 500.
    pub(crate) fails_a_tenth: bool,
}

#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    seen: Arc<Seen>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Seen {
    behaviour: Behaviour,
    epoch: Instant,
    succeeded: AtomicU64,
    /// First request, in nanoseconds after `epoch`.
    first: AtomicU64,
    /// Last success, in nanoseconds after `epoch`.
    last: AtomicU64,
    /// Times from sending an event to the arrival of its first attempt.
    latencies: Mutex<Vec<Duration>>,
}

impl Sink {
    /// Starts the webhook. `epoch` is the origin of the times in the events.
    pub(crate) async fn start(behaviour: Behaviour, epoch: Instant) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let seen = Arc::new(Seen {
            behaviour,
            epoch,
            succeeded: AtomicU64::new(0),
            first: AtomicU64::new(u64::MAX),
            last: AtomicU64::new(0),
            latencies: Mutex::default(),
        });
        Ok(Self {
            address: listener.local_addr()?,
            server: tokio::spawn(serve(listener, Arc::clone(&seen))),
            seen,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Waits for `count` successes and returns the time from the first request to the last
    /// success.
    pub(crate) async fn wait_for(&self, count: u64) -> anyhow::Result<Duration> {
        let mut seen = (0, Instant::now());
        loop {
            let succeeded = self.seen.succeeded.load(Ordering::Relaxed);
            if succeeded >= count {
                break;
            }
            if succeeded > seen.0 {
                seen = (succeeded, Instant::now());
            } else if seen.1.elapsed() > PATIENCE {
                bail!("{succeeded} of {count} events arrived, then none for {PATIENCE:?}");
            }
            sleep(Duration::from_millis(2)).await;
        }
        let last = self.seen.last.load(Ordering::Relaxed);
        Ok(Duration::from_nanos(
            last.saturating_sub(self.seen.first.load(Ordering::Relaxed)),
        ))
    }

    /// Returns the time of the last success.
    pub(crate) fn last(&self) -> Instant {
        self.seen.epoch + Duration::from_nanos(self.seen.last.load(Ordering::Relaxed))
    }

    /// Returns the latencies of all first attempts, sorted.
    pub(crate) fn latencies(&self) -> Vec<Duration> {
        let latencies = self.seen.latencies.lock();
        let mut latencies = latencies.unwrap_or_else(PoisonError::into_inner).clone();
        latencies.sort_unstable();
        latencies
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, seen: Arc<Seen>) {
    // Aborted with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                connections.spawn(serve_connection(stream, Arc::clone(&seen)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, seen: Arc<Seen>) {
    let _latency_only = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, Arc::clone(&seen)));
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _closed = served.await;
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Seen>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let arrived = seen.epoch.elapsed();
    let nanos = u64::try_from(arrived.as_nanos()).unwrap_or(u64::MAX);
    seen.first.fetch_min(nanos, Ordering::Relaxed);
    let attempt = parts.headers.get("x-webhook-attempt");
    let is_first = attempt.is_none_or(|attempt| attempt == "1");
    let sent = event::parse(&body);
    let mut response = Response::new(Empty::new());
    if !seen.behaviour.delay.is_zero() {
        sleep(seen.behaviour.delay).await;
    }
    if let Some(event::Sent { number, at }) = sent.filter(|_| is_first) {
        let mut latencies = seen
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        latencies.push(arrived.saturating_sub(at));
        if seen.behaviour.fails_a_tenth && number % 10 == 3 {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return Ok(response);
        }
    }
    seen.last.fetch_max(nanos, Ordering::Relaxed);
    seen.succeeded.fetch_add(1, Ordering::Relaxed);
    Ok(response)
}
