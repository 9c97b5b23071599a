mod answers;
mod kept;
mod redirects;

use super::*;
use bytes::Bytes;
use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use wahook_domain::{EventBody, EventId, EventName, Reach};

use crate::{look_ups::LookUps, resolver::Resolver, tls};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// Limit of attempts that must time out.
const SHORT: Duration = Duration::from_millis(300);
/// Limit of attempts that must not time out, on a busy machine either.
const AMPLE: Duration = Duration::from_secs(20);

pub(crate) fn system() -> Resolver {
    resolver(LookUps::system())
}

pub(crate) fn resolver(look_ups: LookUps) -> Resolver {
    Resolver {
        reach: Reach::Private,
        look_ups,
        answered: LastAnswered::default(),
        proxy: None,
    }
}

/// Network without trusted certificates.
pub(crate) fn plain(resolver: Resolver) -> Network {
    Network {
        answered: resolver.answered.clone(),
        resolver: Arc::new(resolver),
        tls: tls::unused_config().unwrap(),
        proxy: None,
        connection_age: Duration::from_secs(60),
    }
}

pub(crate) fn event() -> QueuedEvent {
    let body = Bytes::from_static(br#"{"event":"test","data":{},"timestamp":0}"#);
    QueuedEvent::new(
        EventId::parse("a").unwrap(),
        EventName::parse("test").unwrap(),
        EventBody::check(body).unwrap(),
        UnixMillis::new(0),
    )
}

fn client(url: &str, limit: Duration, network: Network) -> EndpointClient {
    wahook_runtime::tls::install_provider();
    EndpointClient::new(url.parse().unwrap(), None, limit, 64, network).unwrap()
}

/// Makes one attempt and returns its outcome; fails if it exceeds the limit by far.
async fn attempt(url: &str, network: Network) -> Outcome {
    let client = client(url, SHORT, network);
    let start = Instant::now();
    let outcome = post(&client).await;
    assert!(start.elapsed() < AMPLE / 4, "took {:?}", start.elapsed());
    outcome
}

/// Receiver whose behaviour is a function of each connection.
struct Receiver {
    url: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Receiver {
    async fn start<F>(play: impl Fn(Caller) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (
            Arc::clone(&receiver.connections),
            Arc::clone(&receiver.requests),
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                connections.fetch_add(1, SeqCst);
                let requests = Arc::clone(&requests);
                tokio::spawn(play(Caller { stream, requests }));
            }
        });
        receiver
    }

    fn client(&self) -> EndpointClient {
        client(&self.url, AMPLE, plain(system()))
    }

    fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

/// Connection of the client, seen by the receiver. `None` means that the client closed it.
struct Caller {
    stream: TcpStream,
    requests: Arc<AtomicUsize>,
}

impl Caller {
    /// Reads one request, and returns its head.
    async fn hear(&mut self) -> Option<String> {
        let mut request = Vec::new();
        let body = event().body.bytes();
        while !request.ends_with(&body) {
            if self.stream.read_buf(&mut request).await.ok()? == 0 {
                return None;
            }
        }
        self.requests.fetch_add(1, SeqCst);
        request.truncate(request.len() - body.len());
        String::from_utf8(request).ok()
    }

    async fn say(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        self.stream.write_all(bytes.as_ref()).await.ok()
    }

    /// Waits until the client closes.
    async fn hold(mut self) -> Option<()> {
        while self.stream.read_u8().await.is_ok() {}
        None
    }
}

async fn post(client: &EndpointClient) -> Outcome {
    client.post(&event(), UnixMillis::new(0)).await.outcome
}

const DELIVERED: Outcome = Outcome::Delivered { status: 200 };

/// Name look-up that hangs, like the system's while no name server
/// answers.
fn hanging(_: &str) -> std::io::Result<Vec<std::net::SocketAddr>> {
    std::thread::sleep(AMPLE / 2);
    Err(std::io::Error::other("no name server answers"))
}

#[tokio::test]
async fn the_deadline_covers_the_name_look_up() {
    let outcome = attempt("http://hook.example", plain(resolver(LookUps::by(hanging)))).await;
    assert_eq!(outcome, Outcome::TimedOut { limit: SHORT });
}

#[tokio::test]
async fn the_deadline_covers_the_handshake_and_the_header_section_of_the_answer() {
    let silent = Receiver::start(|caller: Caller| caller.hold()).await;
    let head_only = Receiver::start(|mut caller: Caller| async move {
        caller.hear().await?;
        caller
            .say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n")
            .await?;
        caller.hold().await
    })
    .await;
    for url in [
        silent.url.replace("http:", "https:"),
        silent.url,
        head_only.url,
    ] {
        let outcome = attempt(&url, plain(system())).await;
        assert_eq!(outcome, Outcome::TimedOut { limit: SHORT }, "{url}");
    }
}
