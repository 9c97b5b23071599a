//! A real webhook receiver that remembers every byte and answers as a test wants.

mod answer;
mod ledger;
mod post;
mod verdict;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
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

/// Lives until it is dropped; then its port refuses connections and the open ones break.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Answers everything with 200.
    pub async fn start() -> Self {
        Self::answering(|_| Answer::status(200)).await
    }

    /// Asks `script` for the answer to each post, once the post is in the ledger.
    pub async fn answering(script: impl Fn(&Post) -> Answer + Send + Sync + 'static) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let mut tries_left = 5;
        loop {
            tries_left -= 1;
            let port = or_fail("a port", crate::ports::free_port().map_err(Into::into));
            let asked = Arc::clone(&script);
            let address = (Ipv4Addr::LOCALHOST, port).into();
            match Self::try_answering_on(address, move |post| asked(post)).await {
                Ok(receiver) => return receiver,
                // Most likely another test was quicker to take the port.
                Err(_) if tries_left > 0 => {}
                Err(error) => return or_fail("the receiver", Err(error.into())),
            }
        }
    }

    /// Answers everything with 200 on an address that a test knows beforehand, for example
    /// that of a receiver which was down for a while.
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

    /// All posts so far, in the order in which they were complete.
    pub fn posts(&self) -> Vec<Arc<Post>> {
        self.ledger.posts()
    }

    /// How many posts there were so far.
    pub fn count(&self) -> usize {
        self.ledger.count()
    }

    /// Forgets all posts so far: a long run would keep a million of them.
    pub fn forget(&self) {
        self.ledger.forget();
    }

    /// All posts so far with this `webhook-id`.
    pub fn posts_of(&self, id: &str) -> Vec<Arc<Post>> {
        let mut posts = self.posts();
        posts.retain(|post| post.id() == Some(id));
        posts
    }

    /// Waits for `count` posts; fails the test when they aren't there within `deadline`.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> Vec<Arc<Post>> {
        let what = format!("{count} posts");
        self.wait_until(&what, deadline, |posts| posts.len() >= count)
            .await
    }

    /// Waits until `is_enough` says so of all posts so far. It is asked after every post.
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
    // A broken connection is what many tests are about; the ledger has what arrived.
    let _broken = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// An error closes the connection without an answer.
async fn respond(
    request: Request<Incoming>,
    ledger: &Ledger,
    script: &Script,
) -> io::Result<Response<AnswerBody>> {
    let (parts, body) = request.into_parts();
    #[expect(
        clippy::disallowed_methods,
        reason = "what a clock outside of the programs says is the point"
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
