use super::*;
use reqwest::dns::{Name, Resolving};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use wahook_domain::{AttemptNumber, CanonicalBody, EventId, EventName, Reach};

use crate::resolver::Resolver;

const LIMIT: Duration = Duration::from_millis(300);
const SYSTEM: Resolver = Resolver {
    reach: Reach::Private,
};

fn event() -> QueuedEvent {
    let body = Bytes::from_static(br#"{"event":"test","data":{},"timestamp":0}"#);
    QueuedEvent {
        id: EventId::parse("a").unwrap(),
        name: EventName::parse("test").unwrap(),
        body: CanonicalBody::check(body).unwrap(),
        attempt: AttemptNumber::FIRST,
        accepted_at: UnixMillis::new(0),
        redriven_at: None,
        traceparent: None,
    }
}

/// Makes one attempt and returns its outcome; fails if it exceeds the limit by far.
async fn attempt(url: &str, resolver: impl Resolve + 'static) -> Outcome {
    wahook_runtime::tls::install_provider();
    let url = url.parse().unwrap();
    let client = EndpointClient::new(url, None, LIMIT, 1, resolver).unwrap();
    let start = Instant::now();
    let outcome = client.post(&event(), UnixMillis::new(0)).await;
    assert!(start.elapsed() < LIMIT * 4, "took {:?}", start.elapsed());
    outcome
}

/// Starts a server that runs `play` on each connection and then keeps it open.
async fn server<F>(play: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = TcpStream> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(play(stream).await);
        }
    });
    address.to_string()
}

/// Name look-up that hangs in a thread, like the system's while no name server
/// answers.
struct Hanging;

impl Resolve for Hanging {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async {
            let hang = || std::thread::sleep(LIMIT * 8);
            tokio::task::spawn_blocking(hang).await?;
            Err("no name server answers".into())
        })
    }
}

#[tokio::test]
async fn the_deadline_covers_the_name_look_up() {
    let outcome = attempt("http://hook.example", Hanging).await;
    assert_eq!(outcome, Outcome::TimedOut { limit: LIMIT });
}

#[tokio::test]
async fn the_deadline_covers_the_handshake_the_response_and_its_body() {
    let silent = server(async |stream| stream).await;
    let says = |bytes: &'static [u8]| {
        server(move |mut stream: TcpStream| async move {
            // A response before the request would be a protocol error.
            stream.read_u8().await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream
        })
    };
    let head_only = says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n").await;
    let half_a_body = says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal").await;
    for url in [
        format!("https://{silent}"),
        format!("http://{silent}"),
        format!("http://{head_only}"),
        format!("http://{half_a_body}"),
    ] {
        let outcome = attempt(&url, SYSTEM).await;
        assert_eq!(outcome, Outcome::TimedOut { limit: LIMIT }, "{url}");
    }
}
