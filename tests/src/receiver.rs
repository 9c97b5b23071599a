//! Webhook receiver that records every post and answers by a script.

mod answer;
mod ledger;
mod post;
mod verdict;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::or_fail;
pub use answer::Answer;
use answer::AnswerBody;
use ledger::Ledger;
pub use post::Post;
pub use verdict::Verdict;

type Script = dyn Fn(&Post) -> Answer + Send + Sync;

/// Running receiver. After a drop its port refuses connections and open connections break.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver that answers every post with 200.
    pub async fn start() -> Self {
        Self::answering(|_| Answer::status(200)).await
    }

    /// Starts a receiver; `script` returns the answer to each post after it is recorded.
    pub async fn answering(script: impl Fn(&Post) -> Answer + Send + Sync + 'static) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let mut tries_left = 5;
        loop {
            tries_left -= 1;
            let port = or_fail("a port", crate::ports::free_port().map_err(Into::into));
            let answers = Arc::clone(&script);
            let address = (Ipv4Addr::LOCALHOST, port).into();
            match Self::try_answering_on(address, move |post| answers(post)).await {
                Ok(receiver) => return receiver,
                // Most likely another test has taken the port.
                Err(_) if tries_left > 0 => {}
                Err(error) => return or_fail("the receiver", Err(error.into())),
            }
        }
    }

    /// Starts a receiver that answers every post with 500, and with 200 once the switch is on.
    pub async fn switched() -> (Self, Arc<AtomicBool>) {
        let works = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&works);
        let receiver = Self::answering(move |_| {
            let works = switch.load(Ordering::Relaxed);
            Answer::status(if works { 200 } else { 500 })
        });
        (receiver.await, works)
    }

    /// Starts a receiver on a given address, for example that of a dropped receiver. Answers
    /// every post with 200.
    pub async fn start_on(address: SocketAddr) -> Self {
        Self::answering_on(address, |_| Answer::status(200)).await
    }

    pub async fn answering_on(
        address: SocketAddr,
        script: impl Fn(&Post) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let started = Self::try_answering_on(address, script).await;
        or_fail(
            format_args!("receiver on {address}"),
            started.map_err(Into::into),
        )
    }

    pub async fn try_answering_on(
        address: SocketAddr,
        script: impl Fn(&Post) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let ledger = Arc::new(Ledger::default());
        let script: Arc<Script> = Arc::new(script);
        let server = tokio::spawn(serve(listener, Arc::clone(&ledger), script));
        Ok(Self {
            address,
            ledger,
            server,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Returns all posts so far, in the order of their completion.
    pub fn posts(&self) -> Vec<Arc<Post>> {
        self.ledger.posts()
    }

    /// Returns the number of posts so far.
    pub fn count(&self) -> usize {
        self.ledger.count()
    }

    /// Deletes all posts so far; a long run would keep a million of them.
    pub fn forget(&self) {
        self.ledger.forget();
    }

    /// Returns all posts so far with this `webhook-id`.
    pub fn posts_of(&self, id: &str) -> Vec<Arc<Post>> {
        let mut posts = self.posts();
        posts.retain(|post| post.id() == Some(id));
        posts
    }

    /// Waits for `count` posts; fails the test after `deadline`.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> Vec<Arc<Post>> {
        let what = format!("{count} posts");
        self.wait_until(&what, deadline, |posts| posts.len() >= count)
            .await
    }

    /// Waits until `is_enough` returns true; called with all posts after each post.
    pub async fn wait_until(
        &self,
        what: &str,
        deadline: Duration,
        is_enough: impl Fn(&[Arc<Post>]) -> bool,
    ) -> Vec<Arc<Post>> {
        or_fail(
            format_args!("receiver on {}", self.address),
            self.ledger.wait_until(what, deadline, is_enough).await,
        )
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, ledger: Arc<Ledger>, script: Arc<Script>) {
    // Aborted with this task, so that no connection outlives the receiver.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let (ledger, script) = (Arc::clone(&ledger), Arc::clone(&script));
                connections.spawn(serve_connection(stream, ledger, script));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, ledger: Arc<Ledger>, script: Arc<Script>) {
    let _latency_only = stream.set_nodelay(true);
    let service = service_fn(|request| respond(request, &ledger, script.as_ref()));
    // Many tests break connections; the ledger has the posts that arrived.
    let _broken = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Records and answers a request. An error closes the connection without an answer.
async fn respond(
    request: Request<Incoming>,
    ledger: &Ledger,
    script: &Script,
) -> io::Result<Response<AnswerBody>> {
    let (parts, body) = request.into_parts();
    #[expect(
        clippy::disallowed_methods,
        reason = "the check needs a clock outside of the programs"
    )]
    let clock = SystemTime::now;
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let post = Post {
        arrived: Instant::now(),
        arrived_at: clock(),
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
    };
    if post.method != hyper::Method::POST {
        let not_allowed = Answer::status(StatusCode::METHOD_NOT_ALLOWED.as_u16());
        return not_allowed.into_response().await;
    }
    let post = ledger.record(post);
    script(&post).into_response().await
}
