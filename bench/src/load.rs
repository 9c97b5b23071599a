//! Load generator with minimal cost per event.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep_until};

use crate::event::{self, Sent};

/// Load of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) to: SocketAddr,
    /// Origin of the times in the events.
    pub(crate) epoch: Instant,
    pub(crate) events: u64,
    /// Size of each event's body.
    pub(crate) bytes: usize,
}

/// Content of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Single,
    /// Number of events, one per line.
    Batch(u64),
}

/// Sends requests one after the other on each connection and returns the total time.
pub(crate) async fn closed_loop(
    load: Load,
    shape: Shape,
    connections: usize,
) -> anyhow::Result<Duration> {
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now() + Duration::from_millis(50);
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        let next = Arc::clone(&next);
        let mut connection = connect(load.to).await?;
        senders.spawn(async move {
            sleep_until(start.into()).await;
            loop {
                let first = next.fetch_add(shape.events(), Ordering::Relaxed);
                if first >= load.events {
                    return anyhow::Ok(());
                }
                let body = shape.body(&load, first);
                post(&mut connection, body, shape.content_type()).await?;
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent??;
    }
    Ok(start.elapsed())
}

impl Shape {
    fn events(self) -> u64 {
        match self {
            Self::Single => 1,
            Self::Batch(events) => events,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Single => "application/json",
            Self::Batch(_) => "application/x-ndjson",
        }
    }

    /// Returns the body of one request. The last batch may be shorter.
    fn body(self, load: &Load, first: u64) -> String {
        let at = load.epoch.elapsed();
        let end = first.saturating_add(self.events()).min(load.events);
        let lines = (first..end).map(|number| event::body(Sent { number, at }, load.bytes));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Sends at a fixed rate, independent of the answers.
pub(crate) async fn open_loop(load: Load, per_second: u32) -> anyhow::Result<()> {
    let mut tick = interval(Duration::from_secs(1) / per_second);
    let mut connections = Vec::new();
    for _ in 0..16 {
        connections.push(Arc::new(tokio::sync::Mutex::new(connect(load.to).await?)));
    }
    let mut sending = JoinSet::new();
    for (number, connection) in (0..load.events).zip(connections.iter().cycle()) {
        tick.tick().await;
        let connection = Arc::clone(connection);
        sending.spawn(async move {
            let mut connection = connection.lock().await;
            let body = Shape::Single.body(&load, number);
            post(&mut connection, body, Shape::Single.content_type()).await
        });
    }
    while let Some(sent) = sending.join_next().await {
        sent??;
    }
    Ok(())
}

async fn connect(to: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(to)
        .await
        .context("cannot connect the load generator")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn post(
    connection: &mut SendRequest<Full<Bytes>>,
    body: String,
    content_type: &'static str,
) -> anyhow::Result<()> {
    connection.ready().await?;
    let request = Request::post("/v1/events")
        .header("host", "127.0.0.1")
        .header("content-type", content_type)
        .body(Full::new(Bytes::from(body)))?;
    let answer = connection.send_request(request).await?;
    let status = answer.status();
    let said = answer.into_body().collect().await?.to_bytes();
    // A batch with refused lines is answered 207.
    let is_taken = status == StatusCode::ACCEPTED || status == StatusCode::OK;
    ensure!(
        is_taken,
        "answered {status}: {}",
        String::from_utf8_lossy(&said)
    );
    Ok(())
}
