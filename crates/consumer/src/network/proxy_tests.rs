//! Deliveries through proxies on loopback. The endpoint's name exists only for them.

use rustls::server::WebPkiClientVerifier;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::tests::{DELIVERED, Server, client, post};
use crate::{
    client::tests::{plain, resolver},
    look_ups::LookUps,
    tls::{
        client_config,
        tests::{openssl_req_x509, server, trusting},
    },
};

/// Starts a proxy that performs `handshake` and then connects to `target`; returns its
/// address.
async fn proxy<F>(
    target: SocketAddr,
    handshake: impl Fn(TcpStream) -> F + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = TcpStream> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = handshake(stream).await;
            let mut server = TcpStream::connect(target).await.unwrap();
            let _closed = copy_bidirectional(&mut stream, &mut server).await;
        }
    });
    address
}

/// Server part of a SOCKS5 handshake for `hook.example`, without authentication.
async fn socks5(mut stream: TcpStream) -> TcpStream {
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting, [5, 1, 0]);
    stream.write_all(&[5, 0]).await.unwrap();
    let name = b"hook.example";
    let mut request = vec![0; 5 + name.len() + 2];
    stream.read_exact(&mut request).await.unwrap();
    assert_eq!(request[..4], [5, 1, 0, 3]);
    assert_eq!(&request[5..5 + name.len()], name);
    let answer = [5, 0, 0, 1, 127, 0, 0, 1, 0, 0];
    stream.write_all(&answer).await.unwrap();
    stream
}

fn no_look_ups() -> LookUps {
    LookUps::by(|host| panic!("{host} is looked up by the proxy"))
}

#[tokio::test]
async fn a_plain_request_goes_to_the_proxy_with_the_whole_url_and_its_login() {
    let mut proxy = Server::start(Ipv4Addr::LOCALHOST, 0).await;
    let mut network = plain(resolver(no_look_ups()));
    let url = format!("http://user:pw@{}", proxy.address);
    network.proxy = Some(url.parse().unwrap());
    let client = client("http://hook.example/hook", network);
    assert_eq!(post(&client).await, DELIVERED);
    let (_, request) = proxy.request().await;
    let line = "POST http://hook.example/hook HTTP/1.1\r\n";
    assert!(request.starts_with(line), "{request}");
    let login = "proxy-authorization: Basic dXNlcjpwdw==\r\n";
    assert!(request.contains(login), "{request}");
}

#[tokio::test]
async fn a_request_goes_through_a_socks5_proxy_that_looks_up_the_name() {
    let mut server = Server::start(Ipv4Addr::LOCALHOST, 0).await;
    let proxy = proxy(server.address, socks5).await;
    let mut network = plain(resolver(no_look_ups()));
    network.proxy = Some(format!("socks5h://{proxy}").parse().unwrap());
    let client = client("http://hook.example/hook", network);
    assert_eq!(post(&client).await, DELIVERED);
    let (_, request) = server.request().await;
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
}

/// Server part of an HTTP tunnel to `hook.example`.
async fn connect(mut stream: TcpStream) -> TcpStream {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(
        head.starts_with("CONNECT hook.example:443 HTTP/1.1\r\n"),
        "{head}"
    );
    let answer = b"HTTP/1.1 200 OK\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    stream
}

#[tokio::test]
async fn a_tls_request_goes_through_a_tunnel_and_the_certificate_is_checked() {
    let no_clients = WebPkiClientVerifier::no_client_auth;
    for (host, delivered) in [("hook.example", true), ("proxy.example", false)] {
        let pair = openssl_req_x509(host, |_| ());
        let url: reqwest::Url = server(&pair, no_clients()).await.parse().unwrap();
        let target = SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()));
        let proxy = proxy(target, connect).await;
        let mut network = plain(resolver(no_look_ups()));
        network.tls = client_config(&trusting(&pair.certificate)).unwrap();
        network.proxy = Some(format!("http://{proxy}").parse().unwrap());
        let client = client("https://hook.example/hook", network);
        let outcome = post(&client).await;
        assert_eq!(outcome == DELIVERED, delivered, "{outcome:?}");
    }
}
