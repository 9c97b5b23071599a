//! Receiver with scripted raw bytes as responses.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::or_fail;

/// Step of the response to one request. After the last step the next request is read from
/// the same connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// Written before the request's body is read. Must be the first step.
    Early(Bytes),
    /// Written at once.
    Say(Bytes),
    /// Written repeatedly, with a pause after each, until the client disconnects.
    Repeat(Bytes, Duration),
    Wait(Duration),
    /// Waits until the client disconnects.
    Hold,
    Close,
    /// Resets the connection.
    Reset,
}

impl Step {
    pub fn say(bytes: impl Into<Bytes>) -> Self {
        Self::Say(bytes.into())
    }
}

type Script = dyn Fn(&str) -> Vec<Step> + Send + Sync;

/// Running receiver; stops on drop.
#[derive(Debug)]
pub struct RawReceiver {
    address: SocketAddr,
    heard: Arc<Heard>,
    server: JoinHandle<()>,
}

/// Requests by event, and requests by event with all steps done.
#[derive(Debug, Default)]
struct Heard {
    requests: Mutex<BTreeMap<String, usize>>,
    finished: Mutex<BTreeMap<String, usize>>,
}

impl RawReceiver {
    /// Starts a receiver; `script` maps the event's name to the steps.
    pub async fn answering(script: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        Self::on(
            or_fail("a raw receiver", listener.map_err(Into::into)),
            script,
        )
    }

    /// Starts a receiver on an open listener.
    pub fn on(
        listener: TcpListener,
        script: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let address = or_fail("a raw receiver", listener.local_addr().map_err(Into::into));
        let heard = Arc::new(Heard::default());
        let server = tokio::spawn(serve(listener, Arc::clone(&heard), Arc::new(script)));
        Self {
            address,
            heard,
            server,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Returns the number of requests with this event.
    pub fn requests(&self, event: &str) -> usize {
        count(&self.heard.requests, event)
    }

    /// Returns the number of requests with this event and all steps done.
    pub fn finished(&self, event: &str) -> usize {
        count(&self.heard.finished, event)
    }
}

impl Drop for RawReceiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn count(counts: &Mutex<BTreeMap<String, usize>>, event: &str) -> usize {
    let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    counts.get(event).copied().unwrap_or_default()
}

fn add_one(counts: &Mutex<BTreeMap<String, usize>>, event: &str) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(event.to_owned()).or_default() += 1;
}

async fn serve(listener: TcpListener, heard: Arc<Heard>, script: Arc<Script>) {
    // Aborted with this task, so that no connection outlives the receiver.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let (heard, script) = (Arc::clone(&heard), Arc::clone(&script));
                connections.spawn(async move {
                    // Broken connections are part of the tests.
                    let _broken = converse(stream, &heard, &*script).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, heard: &Heard, script: &Script) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufStream::new(stream);
    loop {
        let (event, length) = read_head(&mut stream).await?;
        add_one(&heard.requests, &event);
        let mut steps = script(&event).into_iter().peekable();
        while let Some(Step::Early(bytes)) = steps.next_if(|step| matches!(step, Step::Early(_))) {
            say(&mut stream, &bytes).await?;
        }
        stream.read_exact(&mut vec![0; length]).await?;
        for step in steps {
            act(step, &mut stream).await?;
        }
        add_one(&heard.finished, &event);
    }
}

/// Reads the head of a request; returns the event's name and the length of the body.
async fn read_head(stream: &mut BufStream<TcpStream>) -> anyhow::Result<(String, usize)> {
    let (mut event, mut length) = (None, None);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            let event = event.context("no X-Webhook-Event")?;
            return Ok((event, length.context("no Content-Length")?));
        }
        if let Some((name, value)) = line.split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "x-webhook-event" => event = Some(value.to_owned()),
                "content-length" => length = Some(value.parse()?),
                _ => {}
            }
        }
    }
}

/// Runs a step; an error closes the connection.
async fn act(step: Step, stream: &mut BufStream<TcpStream>) -> io::Result<()> {
    match step {
        Step::Early(bytes) | Step::Say(bytes) => say(stream, &bytes).await,
        Step::Repeat(bytes, pause) => loop {
            say(stream, &bytes).await?;
            sleep(pause).await;
        },
        Step::Wait(time) => {
            sleep(time).await;
            Ok(())
        }
        Step::Hold => {
            let mut ignored = Vec::new();
            stream.read_to_end(&mut ignored).await?;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Step::Close => Err(io::ErrorKind::ConnectionAborted.into()),
        Step::Reset => {
            stream.get_ref().set_zero_linger()?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}

async fn say(stream: &mut BufStream<TcpStream>, bytes: &Bytes) -> io::Result<()> {
    stream.get_mut().write_all(bytes).await
}
