//! HTTP/2: one connection for all requests, which the receiver closes or drops.

use bytes::Bytes;
use h2::Reason;
use h2::server::{Connection, SendResponse};
use hyper::Response;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use wahook_tests::world::{Test, Tests};

use crate::authority::{Authority, acceptor, certificate_for};
use crate::ending::{Ending, assert_counts, assert_ends, pair_to};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_dead_http2_connection_is_replaced_in_time", |test| {
        then_fine(test, First::Dies, broken_off(""))
    });
    tests.add("a_goaway_before_the_answer_fails_one_attempt", |test| {
        then_fine(test, First::GoesAway, broken_off("…"))
    });
    tests.add(
        "a_stream_reset_before_the_answer_fails_one_attempt",
        |test| then_fine(test, First::ResetsTheStream, broken_off(": …")),
    );
    tests.add("a_goaway_after_the_answer_fails_no_attempt", |test| {
        then_fine(test, First::SaysGoodbye, Ending::delivered(200))
    });
    tests.add("a_goaway_on_a_kept_connection_fails_no_attempt", |test| {
        then_fine(test, First::GoesAwayLater, Ending::delivered(200))
    });
}

/// Reaction of the first connection to its first request. Later connections answer with 200.
#[derive(Clone, Copy)]
enum First {
    Dies,
    GoesAway,
    ResetsTheStream,
    SaysGoodbye,
    /// At the second request.
    GoesAwayLater,
}

fn broken_off(more: &str) -> Ending {
    let error = format!("the connection broke off before an answer{more}");
    Ending::failed("connection_reset", &error)
}

async fn then_fine(test: Test, first: First, ending: Ending) {
    let authority = Authority::new();
    let mut config = authority.server(&certificate_for("127.0.0.1"));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/webhook", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, acceptor(config), first));
    let file = authority.file();
    let pair = pair_to(&test, &url, &[("SSL_CERT_FILE", &file)]).await;
    assert_ends(&pair, "test", &ending).await;
    assert_ends(&pair, "test", &Ending::delivered(200)).await;
    if ending.outcome == "delivered" {
        assert_counts(&pair, &[("delivered", 2)]).await;
    } else {
        assert_counts(&pair, &[(ending.outcome, 1), ("delivered", 1)]).await;
    }
    server.abort();
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, first: First) {
    let mut connection = accept(&listener, &tls).await;
    let (_request, mut respond) = connection.accept().await.unwrap().unwrap();
    // The dead connection stays open, but is not read any more.
    let _dead = match first {
        First::Dies => Some(connection),
        First::GoesAway => {
            connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
            tokio::spawn(finish(connection));
            None
        }
        First::ResetsTheStream => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            tokio::spawn(answer_all(connection));
            None
        }
        First::SaysGoodbye => {
            answer(respond);
            connection.graceful_shutdown();
            tokio::spawn(finish(connection));
            None
        }
        First::GoesAwayLater => {
            answer(respond);
            let _second = connection.accept().await.unwrap().unwrap();
            connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
            tokio::spawn(finish(connection));
            None
        }
    };
    loop {
        let connection = accept(&listener, &tls).await;
        tokio::spawn(answer_all(connection));
    }
}

type Served = Connection<TlsStream<TcpStream>, Bytes>;

async fn accept(listener: &TcpListener, tls: &TlsAcceptor) -> Served {
    let (stream, _) = listener.accept().await.unwrap();
    let stream = tls.accept(stream).await.unwrap();
    h2::server::handshake(stream).await.unwrap()
}

/// Sends the pending frames.
async fn finish(mut connection: Served) {
    let _closed = std::future::poll_fn(|context| connection.poll_closed(context)).await;
}

async fn answer_all(mut connection: Served) {
    while let Some(Ok((_request, respond))) = connection.accept().await {
        answer(respond);
    }
}

fn answer(mut respond: SendResponse<Bytes>) {
    let _sent = respond.send_response(Response::new(()), true);
}
