//! Failing TLS handshakes, each followed by a successful one.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, IsCa, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use wahook_tests::folder::RunFolder;
use wahook_tests::world::{Test, Tests};

use crate::authority::{Authority, acceptor, certificate_for, self_signed, self_signed_with_pem};
use crate::ending::{Ending, IN_TIME, assert_counts, assert_ends, pair_to};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_handshake_that_never_ends_times_out", |test| {
        silence(test)
    });
    tests.add("an_expired_certificate_is_reported_with_its_date", expired);
    tests.add(
        "a_certificate_that_is_not_valid_yet_is_reported_with_its_date",
        not_yet,
    );
    tests.add(
        "a_certificate_for_another_host_is_reported_with_both_names",
        other_host,
    );
    tests.add("a_self_signed_certificate_is_reported", own_signature);
    tests.add(
        "a_self_signed_certificate_that_ssl_cert_file_names_is_accepted",
        trusted_itself,
    );
    tests.add("a_server_with_tls_1_0_only_is_reported", tls_1_0);
    tests.add("a_handshake_failure_alert_is_reported", alert);
    tests.add("a_server_without_tls_is_reported", plain);
    tests.add(
        "a_tls_connection_cut_within_the_body_fails_no_delivery",
        no_close_notify,
    );
}

/// Behaviour of the first connection. Later connections succeed.
enum First {
    Tls(TlsAcceptor),
    /// Sent after the ClientHello; nothing follows.
    Bytes(Vec<u8>),
}

async fn fails(test: Test, first: impl FnOnce(&Authority) -> First, ending: Ending) {
    let authority = Authority::new();
    let first = first(&authority);
    let good = acceptor(authority.server(&certificate_for("127.0.0.1")));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/webhook", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, first, good));
    let file = authority.file();
    let pair = pair_to(&test, &url, &[("SSL_CERT_FILE", &file)]).await;
    assert_ends(&pair, "test", &ending).await;
    assert_ends(&pair, "test", &Ending::delivered(200)).await;
    assert_counts(&pair, &[(ending.outcome, 1), ("delivered", 1)]).await;
    server.abort();
}

async fn serve(listener: TcpListener, first: First, good: TlsAcceptor) {
    let (stream, _) = listener.accept().await.unwrap();
    match first {
        First::Tls(acceptor) => {
            let refused = tokio::time::timeout(IN_TIME, acceptor.accept(stream)).await;
            assert!(refused.unwrap().is_err(), "the certificate was accepted");
        }
        First::Bytes(bytes) => {
            tokio::spawn(say(stream, bytes));
        }
    }
    accept(listener, good).await;
}

/// Answers 200 to every request.
async fn accept(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let answer =
                service_fn(async |_| Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())));
            let _closed = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn say(mut stream: TcpStream, bytes: Vec<u8>) {
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let _closed = stream.read_to_end(&mut Vec::new()).await;
}

fn refused(error: &str) -> Ending {
    Ending::failed("tls", error)
}

async fn silence(test: Test) {
    fails(test, |_| First::Bytes(Vec::new()), Ending::timed_out()).await;
}

async fn expired(test: Test) {
    let mut certificate = certificate_for("127.0.0.1");
    certificate.not_before = date_time_ymd(2024, 9, 1);
    certificate.not_after = date_time_ymd(2024, 10, 1);
    let ending = refused("certificate expired on 2024-10-01");
    fails(
        test,
        |by| First::Tls(acceptor(by.server(&certificate))),
        ending,
    )
    .await;
}

async fn not_yet(test: Test) {
    let mut certificate = certificate_for("127.0.0.1");
    certificate.not_before = date_time_ymd(2999, 10, 1);
    certificate.not_after = date_time_ymd(2999, 10, 2);
    let ending = refused("certificate is not valid before 2999-10-01");
    fails(
        test,
        |by| First::Tls(acceptor(by.server(&certificate))),
        ending,
    )
    .await;
}

async fn other_host(test: Test) {
    let certificate = certificate_for("other.example");
    let ending = refused("certificate is for other.example, not for 127.0.0.1");
    fails(
        test,
        |by| First::Tls(acceptor(by.server(&certificate))),
        ending,
    )
    .await;
}

/// The certificate of `openssl req -x509`, which says that it is an authority.
async fn trusted_itself(test: Test) {
    let mut certificate = certificate_for("127.0.0.1");
    certificate.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (config, pem) = self_signed_with_pem(&certificate);
    let folder = RunFolder::temporary("self-signed").unwrap();
    let file = folder.join("server.pem");
    std::fs::write(&file, pem).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/webhook", listener.local_addr().unwrap());
    let server = tokio::spawn(accept(listener, acceptor(config)));
    let file = file.display().to_string();
    let pair = pair_to(&test, &url, &[("SSL_CERT_FILE", &file)]).await;
    assert_ends(&pair, "test", &Ending::delivered(200)).await;
    server.abort();
}

async fn own_signature(test: Test) {
    let certificate = certificate_for("127.0.0.1");
    let ending = refused("certificate is signed by an unknown authority");
    fails(
        test,
        |_| First::Tls(acceptor(self_signed(&certificate))),
        ending,
    )
    .await;
}

/// ServerHello of TLS 1.0, with a cipher suite of that version.
async fn tls_1_0(test: Test) {
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let ending = refused("TLS failed: the server supports neither TLS 1.2 nor TLS 1.3");
    fails(test, |_| First::Bytes(hello), ending).await;
}

/// Alert of a server that supports none of the offered versions or ciphers.
async fn alert(test: Test) {
    let handshake_failure = vec![21, 3, 1, 0, 2, 2, 40];
    let ending = refused("TLS failed: rejected by the server (HandshakeFailure)");
    fails(test, |_| First::Bytes(handshake_failure), ending).await;
}

async fn plain(test: Test) {
    let bad_request = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec();
    let ending = refused("TLS failed: the server's answer is not TLS");
    fails(test, |_| First::Bytes(bad_request), ending).await;
}

/// The receiver closes without `close_notify`, at the end of its body or within it.
async fn no_close_notify(test: Test) {
    let authority = Authority::new();
    let tls = acceptor(authority.server(&certificate_for("127.0.0.1")));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/webhook", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for rest in ["\r\nhello", "Content-Length: 10\r\n\r\nhalf-"] {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = tls.accept(stream).await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            let answer = format!("HTTP/1.1 200 OK\r\n{rest}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
        }
    });
    let file = authority.file();
    let pair = pair_to(&test, &url, &[("SSL_CERT_FILE", &file)]).await;
    for _ in 0..2 {
        assert_ends(&pair, "test", &Ending::delivered(200)).await;
    }
    assert_counts(&pair, &[("delivered", 2)]).await;
    server.await.unwrap();
}
