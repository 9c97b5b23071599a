//! HTTP front: forged, ambiguous and refused requests, idle clients, address of the metrics.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::ports::free_port;
use wahook_tests::raw_http::{RawAnswer, Then, exchange};
use wahook_tests::receiver::Receiver;

use crate::system::System;

const EVENT: &str = r#"{"event":"test"}"#;
const TOKEN: &str = "a-token-of-good-length";

fn address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Sends a POST with these header lines; returns the only answer.
async fn post(system: &System, lines: &[&str], body: &str) -> RawAnswer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{lines}\r\n{body}"
    );
    raw(system, &request).await
}

async fn raw(system: &System, request: &str) -> RawAnswer {
    let answers = exchange(address(&system.events), request.as_bytes(), Then::Wait).await;
    answers.unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_page_cannot_send_events_without_a_token() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[("PRODUCER_ALLOWED_HOSTS", "gateway.example")]);
    let _program = system.start().await;
    let (local, json) = ("host: 127.0.0.1:8080", "content-type: application/json");
    let forged: [(&[&str], u16); 9] = [
        // Requests of `fetch` with `no-cors`, of `sendBeacon` and of a form.
        (&[local], 415),
        (&[local, "content-type: text/plain;charset=UTF-8"], 415),
        (
            &[local, "content-type: application/x-www-form-urlencoded"],
            415,
        ),
        (&[local, json, "origin: http://evil.example"], 403),
        (&[local, json, "origin: null"], 403),
        (&[local, json, "sec-fetch-site: cross-site"], 403),
        (&[local, json, "sec-fetch-site: same-site"], 403),
        // A name of the attacker that resolves to 127.0.0.1.
        (&["host: evil.example", json], 403),
        (
            &["host: evil.example", json, "origin: http://evil.example"],
            403,
        ),
    ];
    for (lines, status) in forged {
        let answer = post(&system, lines, EVENT).await;
        assert_eq!(answer.status, status, "{lines:?}: {answer:?}");
        assert!(
            answer
                .head
                .contains("content-type: application/problem+json")
        );
    }
    let read = "GET /metrics HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(raw(&system, read).await.status, 403);
    for host in [
        "host: localhost:8080",
        "host: [::1]",
        "host: gateway.example",
    ] {
        assert_eq!(
            post(&system, &[host, json], EVENT).await.status,
            202,
            "{host}"
        );
    }
    let posts = receiver.wait_for(3, AT_LAST).await;
    assert_eq!(posts.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_token_any_host_and_media_type_of_before_is_accepted() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[("PRODUCER_TOKEN", TOKEN)]);
    let _program = system.start().await;
    let token = format!("authorization: Bearer {TOKEN}");
    for lines in [
        &["host: producer:3000", token.as_str()][..],
        &["host: evil.example", "origin: http://other.example", &token],
    ] {
        assert_eq!(post(&system, lines, EVENT).await.status, 202, "{lines:?}");
    }
    assert_eq!(
        post(&system, &["host: producer:3000"], EVENT).await.status,
        401
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ambiguous_requests_are_refused() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let program = system.start().await;
    let (host, json) = ("host: localhost", "content-type: application/json");
    let refused: [(&[&str], u16); 4] = [
        (&[json], 400),
        (&[json, host, host], 400),
        (&[json, host, "host: evil.example"], 400),
        (&[json, host, "te: gzip, chunked"], 400),
    ];
    for (lines, status) in refused {
        let answer = post(&system, lines, EVENT).await;
        assert_eq!(answer.status, status, "{lines:?}: {answer:?}");
        assert!(answer.head.contains("connection: close"), "{answer:?}");
    }
    for (coding, status) in [
        ("gzip, chunked", 501),
        ("chunked, gzip", 400),
        ("chunked", 202),
    ] {
        let request = format!(
            "POST /v1/events HTTP/1.1\r\n{host}\r\n{json}\r\nconnection: close\r\n\
             transfer-encoding: {coding}\r\n\r\n10\r\n{EVENT}\r\n0\r\n\r\n"
        );
        let answer = raw(&system, &request).await;
        assert_eq!(answer.status, status, "{coding}: {answer:?}");
    }
    let counts = program.metrics().await;
    let malformed = [("reason", "malformed")];
    assert_eq!(
        counts.sum_where("wahook_requests_refused_total", &malformed),
        5.0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bare_line_feeds_end_header_lines_only() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let _program = system.start().await;
    let head = "POST /v1/events HTTP/1.1\nhost: localhost\nconnection: close\n\
        content-type: application/json\n";
    let (length, chunked) = ("content-length: 16\n", "transfer-encoding: chunked\n");
    for (rest, status) in [
        (format!("{length}\n{EVENT}"), 202),
        (format!("{chunked}\n10\r\n{EVENT}\r\n0\r\n\r\n"), 202),
        // A line after a bare line feed is a header, and counts as one.
        (
            format!("x-a: 1\nhost: evil.example\r\n{length}\n{EVENT}"),
            400,
        ),
        // Chunks need both characters.
        (format!("{chunked}\n10\n{EVENT}\n0\n\n"), 400),
    ] {
        let answer = raw(&system, &format!("{head}{rest}")).await;
        assert_eq!(answer.status, status, "{rest:?}: {answer:?}");
    }
    receiver.wait_for(2, AT_LAST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_clients_lock_out_neither_gateways_nor_health_checks() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let program = system.start().await;
    // More than the limit, half of them within the headers of a request.
    let idle = (0..2_100).map(|n: usize| {
        let server = address(&system.events);
        async move {
            let mut stream = TcpStream::connect(server).await?;
            if n.is_multiple_of(2) {
                // Fails if the connection is closed already.
                let _closed = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: loc").await;
            }
            std::io::Result::Ok(stream)
        }
    });
    let mut idle = try_join_all(idle).await.unwrap();
    let began = std::time::Instant::now();
    program.wait_ready(AT_LAST).await;
    let counts = program.metrics().await;
    assert!(counts.sum("process_open_fds") > 0.0);
    let answer = post(
        &system,
        &["host: localhost", "content-type: application/json"],
        EVENT,
    )
    .await;
    assert_eq!(answer.status, 202);
    // The idle clients are closed after 15 s in any case.
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    let longest = idle.first_mut().unwrap();
    let mut bytes = Vec::new();
    let _reset = longest.read_to_end(&mut bytes).await;
    assert_eq!(bytes, b"", "closed");
    receiver.wait_for(1, AT_LAST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_is_counted_and_logged_once_a_minute_per_reason() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let program = system.start().await;
    let (host, json) = ("host: localhost", "content-type: application/json");
    let strange = r#"{"event":"call","data":[]}"#;
    for _ in 0..3 {
        assert_eq!(post(&system, &[host, json], strange).await.status, 422);
        for (method, path, status) in [("POST", "/webhook", 404), ("PUT", "/v1/events", 405)] {
            let request =
                format!("{method} {path}?secret=1 HTTP/1.1\r\n{host}\r\nconnection: close\r\n\r\n");
            assert_eq!(raw(&system, &request).await.status, status);
        }
    }
    let counts = program.metrics().await;
    for reason in ["invalid_event", "not_found", "method_not_allowed"] {
        let label = [("reason", reason)];
        let counted = counts.sum_where("wahook_requests_refused_total", &label);
        assert_eq!(counted, 3.0, "{reason}");
    }
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
    let log = program.stderr_so_far();
    let lines = |part: &str| log.lines().filter(|line| line.contains(part)).count();
    assert_eq!(lines("request refused"), 3, "{log}");
    assert_eq!(lines("more requests refused"), 3, "{log}");
    let line = |part: &str| log.lines().find(|line| line.contains(part)).unwrap();
    for part in ["call", "26", "127.0.0.1:", "/v1/events", "422"] {
        assert!(line("invalid_event").contains(part), "{part}: {log}");
    }
    assert!(line("not_found").contains("/webhook"), "{log}");
    assert!(!log.contains("secret=1"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_have_an_address_of_their_own_on_request() {
    let receiver = Receiver::start().await;
    let metrics = format!("127.0.0.1:{}", free_port().unwrap());
    let system = System::new(&receiver, &[("PRODUCER_METRICS_LISTEN", &metrics)]);
    let _program = system.start().await;
    let http = http_client().unwrap();
    let status = |url: String| {
        let request = http.get(url);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    eventually(AT_LAST, "the metrics", || async {
        (status(format!("http://{metrics}/metrics")).await == 200).then_some(())
    })
    .await;
    assert_eq!(status(format!("{}/metrics", system.events)).await, 404);
    for path in ["livez", "readyz"] {
        assert_eq!(status(format!("{}/{path}", system.events)).await, 200);
        assert_eq!(status(format!("http://{metrics}/{path}")).await, 200);
    }
    assert_eq!(status(format!("http://{metrics}/v1/events")).await, 404);
}
