use std::future::pending;

use prometheus::Registry;
use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::*;
use crate::{Readiness, ops};

async fn serving(readiness: Readiness) -> ListenAddress {
    let listener = ListenAddress::loopback(0).bind().await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = ops::router(Registry::new(), readiness);
    tokio::spawn(ops::serve_until(listener, router, pending(), pending()));
    address.parse().unwrap()
}

#[tokio::test]
async fn program_with_unreachable_broker_is_alive_and_not_ready() {
    let readiness = Readiness::new();
    let broker = readiness.check("broker");
    let log = readiness.check("log");
    let address = serving(readiness).await;
    broker.set_failed("connection refused");
    log.set_ok();

    check(address, HealthCheck::Alive).await.unwrap();
    let error = check(address, HealthCheck::Ready)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, "not ready: broker: connection refused");

    broker.set_ok();
    check(address, HealthCheck::Ready).await.unwrap();
}

#[tokio::test]
async fn every_interface_is_checked_on_loopback() {
    let address = serving(Readiness::new()).await;
    let everywhere = format!("0.0.0.0:{}", address.socket().port());
    check(everywhere.parse().unwrap(), HealthCheck::Alive)
        .await
        .unwrap();
    assert_eq!(
        reachable("[::]:80".parse().unwrap()).unwrap().to_string(),
        "[::1]:80"
    );
}

#[tokio::test]
async fn program_that_does_not_listen_is_not_healthy() {
    let listener = ListenAddress::loopback(0).bind().await.unwrap();
    let address: ListenAddress = listener.local_addr().unwrap().to_string().parse().unwrap();
    drop(listener);
    let error = check(address, HealthCheck::Alive).await.unwrap_err();
    assert!(matches!(error, Unhealthy::Unreachable(..)), "{error}");
    let error = check(ListenAddress::loopback(0), HealthCheck::Alive).await;
    assert!(matches!(error, Err(Unhealthy::NoPort(_))));
}

#[tokio::test]
async fn a_program_that_hangs_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let error = check(address.parse().unwrap(), HealthCheck::Alive)
        .await
        .unwrap_err();
    assert!(matches!(error, Unhealthy::NoResponse(..)), "{error}");
}

#[tokio::test]
async fn another_service_on_the_port_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"220 mail.example.org ESMTP\r\n")
            .await
            .unwrap();
    });
    let error = check(address.parse().unwrap(), HealthCheck::Alive)
        .await
        .unwrap_err();
    assert!(matches!(error, Unhealthy::NotHttp(..)), "{error}");

    let (listener, bare) = (
        ListenAddress::loopback(0).bind().await.unwrap(),
        axum::Router::new(),
    );
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(ops::serve_until(listener, bare, pending(), pending()));
    let error = check(address.parse().unwrap(), HealthCheck::Alive)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "unexpected status 404 Not Found");
}
