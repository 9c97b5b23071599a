use super::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use wahook_domain::{AttemptNumber, CanonicalBody, EventId, EventName, Reach};

use crate::{look_ups::LookUps, resolver::Resolver, tls};

const LIMIT: Duration = Duration::from_millis(300);

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
        resolver: std::sync::Arc::new(resolver),
        tls: tls::unused_config().unwrap(),
        proxy: None,
        connection_age: Duration::from_secs(60),
    }
}

pub(crate) fn event() -> QueuedEvent {
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
async fn attempt(url: &str, network: Network) -> Outcome {
    wahook_runtime::tls::install_provider();
    let url = url.parse().unwrap();
    let client = EndpointClient::new(url, None, LIMIT, 1, network).unwrap();
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

/// Name look-up that hangs, like the system's while no name server answers.
fn hanging(_: &str) -> std::io::Result<Vec<std::net::SocketAddr>> {
    std::thread::sleep(LIMIT * 8);
    Err(std::io::Error::other("no name server answers"))
}

#[tokio::test]
async fn the_deadline_covers_the_name_look_up() {
    let outcome = attempt("http://hook.example", plain(resolver(LookUps::by(hanging)))).await;
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
        let outcome = attempt(&url, plain(system())).await;
        assert_eq!(outcome, Outcome::TimedOut { limit: LIMIT }, "{url}");
    }
}
