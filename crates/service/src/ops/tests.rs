use std::{future::pending, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};

use super::*;
use crate::{metrics::ProducerMetrics, shutdown::Shutdown};

/// Far longer than any step here takes.
const LIMIT: Duration = Duration::from_secs(10);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The head and the body of an answer; empty where the server cut it off.
async fn fetch(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (head.to_owned(), body.to_owned())
}

async fn serving(router: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(serve_until(listener, router, pending(), pending()));
    address
}

#[tokio::test]
async fn readiness_is_answered_with_every_check() {
    let readiness = Readiness::new();
    let broker = readiness.check("broker");
    let address = serving(router(Registry::new(), readiness.clone())).await;

    broker.set_failed("connection refused");
    let (head, body) = fetch(address, "/readyz").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({"ready": false, "checks": {"broker": {"ok": false, "detail": "connection refused"}}})
    );

    broker.set_ok();
    let (head, body) = fetch(address, "/readyz").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({"ready": true, "checks": {"broker": {"ok": true, "detail": ""}}})
    );

    readiness.stopping();
    let (head, _) = fetch(address, "/readyz").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
}

#[tokio::test]
async fn a_program_lives_while_its_checks_fail() {
    let readiness = Readiness::new();
    readiness.check("broker").set_failed("connection refused");
    let address = serving(router(Registry::new(), readiness)).await;
    let (head, body) = fetch(address, "/livez").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "ok\n");
}

#[tokio::test]
async fn metrics_are_answered_in_prometheus_text_format() {
    let registry = Registry::new();
    let metrics = ProducerMetrics::new(&registry).unwrap();
    let address = serving(router(registry, Readiness::new())).await;
    metrics.events_accepted.inc_by(3);
    let (head, body) = fetch(address, "/metrics").await;
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(
        body.contains("\nwahook_events_accepted_total 3\n"),
        "{body}"
    );
}

/// A server with one request under way, which ends once it is told to.
struct Busy {
    address: SocketAddr,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    request: tokio::task::JoinHandle<(String, String)>,
    finish: Arc<Notify>,
    trigger: crate::shutdown::Trigger,
}

async fn busy() -> Busy {
    let (entered, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, finish) = (Arc::clone(&entered), Arc::clone(&finish));
        move || async move {
            entered.notify_one();
            finish.notified().await;
            "done"
        }
    };
    let (listener, address) = listen().await;
    let (shutdown, trigger) = Shutdown::manual();
    let router = Router::new().route("/slow", get(handler));
    let server = tokio::spawn(serve(listener, router, shutdown));
    let request = tokio::spawn(async move { fetch(address, "/slow").await });
    entered.notified().await;
    Busy {
        address,
        server,
        request,
        finish,
        trigger,
    }
}

#[tokio::test]
async fn a_soft_stop_takes_no_new_connection_and_finishes_what_is_under_way() {
    let busy = busy().await;
    busy.trigger.soft();
    let closed = async {
        while TcpStream::connect(busy.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, closed).await.unwrap();
    busy.finish.notify_one();
    let (head, body) = busy.request.await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "done");
    timeout(LIMIT, busy.server).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_hard_stop_does_not_wait_for_a_slow_request() {
    let busy = busy().await;
    busy.trigger.hard();
    timeout(LIMIT, busy.server).await.unwrap().unwrap().unwrap();
}
