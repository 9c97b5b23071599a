//! Deliveries over loopback, with look-ups by the test.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Mutex,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    time::timeout,
};
use wahook_domain::{Outcome, UnixMillis};

use super::*;
use crate::client::{
    EndpointClient,
    tests::{event, plain, resolver, system},
};

pub(super) const DELIVERED: Outcome = Outcome::Delivered { status: 200 };
const LIMIT: Duration = Duration::from_secs(10);

/// HTTP server that keeps connections open and reports each request with the number of
/// its connection.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<(usize, String)>,
}

impl Server {
    pub(super) async fn start(host: Ipv4Addr, port: u16) -> Self {
        let listener = TcpListener::bind((host, port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for number in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, number, sender.clone()));
            }
        });
        Self { address, requests }
    }

    /// Returns the number of the connection of the next request, and its head.
    pub(super) async fn request(&mut self) -> (usize, String) {
        timeout(LIMIT, self.requests.recv()).await.unwrap().unwrap()
    }
}

async fn answer(
    mut stream: TcpStream,
    number: usize,
    requests: mpsc::UnboundedSender<(usize, String)>,
) {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(bytes) = stream.read(&mut buffer).await {
        if bytes == 0 {
            return;
        }
        read.extend_from_slice(&buffer[..bytes]);
        // The body is one JSON object.
        if read.ends_with(b"}") {
            let request = String::from_utf8(std::mem::take(&mut read)).unwrap();
            requests.send((number, request)).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    }
}

pub(super) fn client(url: &str, network: Network) -> EndpointClient {
    wahook_runtime::tls::install_provider();
    EndpointClient::new(url.parse().unwrap(), None, LIMIT, 4, network).unwrap()
}

pub(super) async fn post(client: &EndpointClient) -> Outcome {
    client.post(&event(), UnixMillis::new(0)).await.outcome
}

#[tokio::test]
async fn a_login_of_the_endpoint_is_on_the_wire_as_basic() {
    let mut server = Server::start(Ipv4Addr::LOCALHOST, 0).await;
    let login = [(AUTHORIZATION, HeaderValue::from_static("Basic dTpw"))];
    let client = client(&format!("http://{}/hook", server.address), plain(system()))
        .with_headers(HeaderMap::from_iter(login));
    assert_eq!(post(&client).await, DELIVERED);
    let (_, request) = server.request().await;
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    let logins = request.matches("authorization: Basic dTpw\r\n").count();
    assert_eq!(logins, 1, "{request}");
}

/// The first address accepts no connection: the backlog of its listener is full.
#[tokio::test]
async fn an_address_after_a_silent_one_is_tried_within_one_attempt() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = socket.listen(1).unwrap();
    let address = silent.local_addr().unwrap();
    let mut waiting = Vec::new();
    let short = Duration::from_millis(500);
    while let Ok(connected) = timeout(short, TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 100, "the backlog is never full");
    }
    let mut server = Server::start(Ipv4Addr::new(127, 0, 0, 2), address.port()).await;
    let addresses = LookUps::by(|_| {
        let hosts = [[127_u8, 0, 0, 1], [127, 0, 0, 2]];
        Ok(hosts.map(|host| SocketAddr::from((host, 0))).to_vec())
    });
    let url = format!("http://hook.example:{}/", address.port());
    let client = client(&url, plain(resolver(addresses)));
    assert_eq!(post(&client).await, DELIVERED);
    server.request().await;
}

#[tokio::test]
async fn a_host_that_moved_is_followed_once_connections_reach_their_age() {
    let mut first = Server::start(Ipv4Addr::new(127, 0, 0, 1), 0).await;
    let port = first.address.port();
    let mut second = Server::start(Ipv4Addr::new(127, 0, 0, 2), port).await;
    let host = Arc::new(Mutex::new([127_u8, 0, 0, 1]));
    let current = Arc::clone(&host);
    let look_ups = LookUps::by(move |_| Ok(vec![(*current.lock().unwrap(), 0).into()]));
    let mut network = plain(resolver(look_ups));
    network.connection_age = Duration::from_millis(500);
    let client = client(&format!("http://hook.example:{port}/"), network);
    assert_eq!(post(&client).await, DELIVERED);
    first.request().await;
    *host.lock().unwrap() = [127, 0, 0, 2];
    let moved = async {
        while second.requests.is_empty() {
            assert_eq!(post(&client).await, DELIVERED);
        }
    };
    timeout(LIMIT, moved).await.unwrap();
    second.request().await;
}

#[tokio::test]
async fn a_connection_is_reused_until_idle_ones_are_closed() {
    let mut server = Server::start(Ipv4Addr::LOCALHOST, 0).await;
    let client = client(&format!("http://{}/hook", server.address), plain(system()));
    for _ in 0..3 {
        assert_eq!(post(&client).await, DELIVERED);
        assert_eq!(server.request().await.0, 1);
    }
    client.close_idle();
    assert_eq!(post(&client).await, DELIVERED);
    assert_eq!(server.request().await.0, 2);
}
