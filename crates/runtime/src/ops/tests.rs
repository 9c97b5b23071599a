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
use crate::{metrics::BrokerMetrics, shutdown::Shutdown};

/// Far longer than any step here takes.
const LIMIT: Duration = Duration::from_secs(10);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Returns the head and the body of a response; empty if the server aborted it.
async fn fetch(address: SocketAddr, path: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n");
    exchange(address, &request).await
}

/// As [`fetch`], with any request.
async fn exchange(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
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
async fn program_is_alive_while_its_checks_fail() {
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
    let metrics = BrokerMetrics::new(&registry).unwrap();
    let address = serving(router(registry, Readiness::new())).await;
    metrics.consume().observe(true, 4);
    let (head, body) = fetch(address, "/metrics").await;
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(
        body.contains("\nwahook_reconnects_total{connection=\"consume\"} 3\n"),
        "{body}"
    );
}

/// Server with one request in flight, which ends on `finish`.
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
async fn soft_stop_accepts_no_connection_and_finishes_requests_in_flight() {
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

#[tokio::test]
async fn soft_stop_closes_idle_connections() {
    let (listener, address) = listen().await;
    let (shutdown, trigger) = Shutdown::manual();
    let router = router(Registry::new(), Readiness::new());
    let server = tokio::spawn(serve(listener, router, shutdown));
    let mut idle = TcpStream::connect(address).await.unwrap();
    let request = b"GET /livez HTTP/1.1\r\nhost: ops\r\n\r\n";
    idle.write_all(request).await.unwrap();
    let mut answer = [0; 1024];
    let read = idle.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200 "));

    trigger.soft();
    timeout(LIMIT, server).await.unwrap().unwrap().unwrap();
    assert_eq!(idle.read(&mut answer).await.unwrap(), 0, "closed");
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_in_size() {
    let address = serving(router(Registry::new(), Readiness::new())).await;
    let with = |headers: &str| format!("GET /livez HTTP/1.1\r\nhost: ops\r\n{headers}\r\n");
    let some = (0..90).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    let many = (0..101)
        .map(|n| format!("x-{n}: 1\r\n"))
        .collect::<String>();
    let large = format!("x: {}\r\n", "x".repeat(32 << 10));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(64 << 10));
    for (request, status) in [
        (with(&format!("connection: close\r\n{some}")), "200"),
        (with(&many), "431"),
        (with(&large), "431"),
        (long, "431"),
    ] {
        let (head, _) = timeout(LIMIT, exchange(address, &request)).await.unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

#[tokio::test]
async fn unknown_path_and_method_are_answered_with_a_problem_document() {
    let router = refuse_the_rest(router(Registry::new(), Readiness::new()), "try /livez");
    let address = serving(router).await;
    let delete = "DELETE /livez HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n";
    let refused = [
        (fetch(address, "/nothing").await, 404, "not-found"),
        (exchange(address, delete).await, 405, "method-not-allowed"),
    ];
    for ((head, body), status, name) in refused {
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(
            head.contains("content-type: application/problem+json"),
            "{head}"
        );
        assert_eq!(head.contains("allow: GET,HEAD"), status == 405, "{head}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["type"], format!("urn:wahook:problem:{name}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["detail"], "try /livez");
    }
}
