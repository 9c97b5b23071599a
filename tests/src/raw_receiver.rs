//! A receiver that answers with bytes, as no HTTP server would.

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

/// What is done with one request, step by step. After the last one the next request is
/// read from the same connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// Said before the request's body is read. Comes first.
    Early(Bytes),
    /// All of it in one write.
    Say(Bytes),
    /// The same again and again, with a pause after each, until the other side is gone.
    Repeat(Bytes, Duration),
    Wait(Duration),
    /// Silence, until the other side is gone.
    Hold,
    Close,
    /// Closes so that the other side gets an error instead of an end.
    Reset,
}

impl Step {
    pub fn say(bytes: impl Into<Bytes>) -> Self {
        Self::Say(bytes.into())
    }
}

type Script = dyn Fn(&str) -> Vec<Step> + Send + Sync;

/// Lives until it is dropped.
#[derive(Debug)]
pub struct RawReceiver {
    address: SocketAddr,
    heard: Arc<Heard>,
    server: JoinHandle<()>,
}

/// How often each event was heard, and how often its steps were all done.
#[derive(Debug, Default)]
struct Heard {
    requests: Mutex<BTreeMap<String, usize>>,
    finished: Mutex<BTreeMap<String, usize>>,
}

impl RawReceiver {
    /// Asks `script` for the steps, by the event's name.
    pub async fn answering(script: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        Self::on(
            or_fail("a raw receiver", listener.map_err(Into::into)),
            script,
        )
    }

    /// On a socket that listens already.
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

    /// How many requests with this event came.
    pub fn requests(&self, event: &str) -> usize {
        count(&self.heard.requests, event)
    }

    /// For how many of them the last step is done.
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
                    // A broken connection is what the tests are about.
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

/// The event's name and the length of the body.
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

/// An error ends the connection.
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
