//! Connections to receivers: kept ones, and those through a proxy.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::raw_receiver::{RawReceiver, Step};
use wahook_tests::receiver::Receiver;

use crate::system::System;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// The log shows that no event was attempted twice, whatever the machine's speed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_closes_after_each_answer_gets_a_thousand_events_at_the_first_attempt() {
    const EVENTS: usize = 1_000;
    let closing = async |pause| {
        let steps = move |_: &str| {
            let pause = Step::Wait(Duration::from_millis(pause));
            vec![Step::say(OK), pause, Step::Close]
        };
        RawReceiver::answering(steps).await
    };
    let receivers = [closing(0).await, closing(2).await, closing(20).await];
    let endpoints = receivers.iter().enumerate().map(|(number, receiver)| {
        let url = receiver.url();
        format!("[[endpoint]]\nname = \"closing-{number}\"\nurl = \"{url}\"\n")
    });
    let unused = Receiver::start().await;
    let system = System::with_endpoints(&unused, &endpoints.collect::<String>());
    let _program = system.start().await;
    let http = http_client().unwrap();
    for batch in 0..10 {
        let lines = (0..EVENTS / 10).map(|n| json!({"event": "call", "data": {"n": [batch, n]}}));
        let lines: Vec<_> = lines.map(|line| line.to_string()).collect();
        let post = http.post(format!("{}/v1/events", system.events));
        let post = post.header("content-type", "application/x-ndjson");
        let answer = post.body(lines.join("\n")).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        answer.bytes().await.unwrap();
    }
    let ended = "SELECT count(*) FROM webhooklogs WHERE completedAt IS NOT NULL";
    eventually(AT_LAST, "every delivery", || async {
        (system.count(ended) == 3 * EVENTS as i64).then_some(())
    })
    .await;
    let at_first = "SELECT endpoint, count(*) || '' FROM webhooklogs \
                    WHERE status = 'success' AND json_array_length(attempts) = 1 \
                    GROUP BY endpoint ORDER BY endpoint";
    let expected = [0, 1, 2].map(|number| (format!("closing-{number}"), EVENTS.to_string()));
    assert_eq!(system.pairs(at_first), expected);
}

/// Starts a receiver that answers 200 and keeps its connections; returns its URL, and how long
/// after its last answer each connection was closed.
async fn keeping() -> (String, mpsc::UnboundedReceiver<Duration>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhook", listener.local_addr().unwrap());
    let (closed, closings) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let closed = closed.clone();
            tokio::spawn(async move {
                let kept_for = answer_until_closed(stream).await;
                let _test_ended = closed.send(kept_for.unwrap_or_default());
            });
        }
    });
    (url, closings)
}

async fn answer_until_closed(mut stream: TcpStream) -> std::io::Result<Duration> {
    let (mut answered, mut heard) = (Instant::now(), Vec::new());
    loop {
        if stream.read_buf(&mut heard).await? == 0 {
            return Ok(answered.elapsed());
        }
        if heard.ends_with(b"}") {
            heard.clear();
            answered = Instant::now();
            stream.write_all(OK.as_bytes()).await?;
        }
    }
}

/// An unused connection is kept for 4 s. Only a signal closes it earlier: one of several may take
/// longer on a busy machine.
async fn assert_closed_by_hang_up(
    system: &System,
    mut closings: mpsc::UnboundedReceiver<Duration>,
) {
    let program = system.start().await;
    let closed = async {
        loop {
            system.ended("call", "success").await;
            program.hang_up();
            let kept_for = closings.recv().await.unwrap();
            if kept_for < Duration::from_secs(3) {
                break;
            }
        }
    };
    let closed = tokio::time::timeout(AT_LAST, closed).await;
    assert!(closed.is_ok(), "no connection was closed at once");
    assert!(program.is_running());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_closes_idle_connections_without_an_endpoints_file() {
    let (url, closings) = keeping().await;
    let unused = Receiver::start().await;
    let system = System::new(&unused, &[("WEBHOOK_URL", &url)]);
    assert_closed_by_hang_up(&system, closings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_closes_idle_connections_of_unchanged_endpoints() {
    let (url, closings) = keeping().await;
    let unused = Receiver::start().await;
    let endpoints = format!("[[endpoint]]\nname = \"crm\"\nurl = \"{url}\"\n");
    let system = System::with_endpoints(&unused, &endpoints);
    assert_closed_by_hang_up(&system, closings).await;
}

/// The name exists for the proxy only. `0.0.0.0` reaches this machine, but is not excepted like
/// loopback.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_go_through_the_proxy_of_the_environment_or_around_it() {
    let (proxy, direct) = (Receiver::start().await, Receiver::start().await);
    let port = direct.address().port();
    let endpoints = format!(
        "[[endpoint]]\nname = \"through\"\nurl = \"http://hook.invalid/webhook\"\n\
         [[endpoint]]\nname = \"around\"\nurl = \"http://0.0.0.0:{port}/webhook\"\n"
    );
    let mut system = System::with_endpoints(&direct, &endpoints);
    let of_proxy = format!("http://{}", proxy.address());
    for (name, value) in [
        ("HTTP_PROXY", of_proxy.as_str()),
        ("NO_PROXY", "0.0.0.0"),
        ("WEBHOOK_ALLOW_HTTP", "true"),
    ] {
        system.settings.push((name.to_owned(), value.to_owned()));
    }
    let program = system.start().await;
    let id = system.send("call").await;
    for receiver in [&proxy, &direct] {
        let posts = receiver.wait_for(1, AT_LAST).await;
        assert_eq!(posts[0].id(), Some(id.as_str()));
    }
    let delivered = "SELECT count(*) FROM webhooklogs WHERE status = 'success'";
    eventually(AT_LAST, "both deliveries", || async {
        (system.count(delivered) == 2).then_some(())
    })
    .await;
    assert_eq!((proxy.count(), direct.count()), (1, 1));
    let log = program.wait_logged("go through a proxy").await;
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("go through a proxy"))
        .collect();
    assert!(lines.len() == 1 && lines[0].contains("through"), "{log}");
}

/// Starts the program and returns its log when it is ready.
async fn log_of_start(settings: &[(&str, &str)], endpoints: &str) -> String {
    let unused = Receiver::start().await;
    let mut system = System::with_endpoints(&unused, endpoints);
    let more = settings.iter();
    system
        .settings
        .extend(more.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let program = system.start().await;
    // Endpoints are logged before it.
    program.wait_logged("consumer connected").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_looks_up_names_is_a_warning_where_private_addresses_are_blocked() {
    let endpoint = "[[endpoint]]\nname = \"crm\"\nurl = \"http://hook.invalid/webhook\"\n";
    let proxy = ("HTTP_PROXY", "http://127.0.0.1:9");
    let warning = "block private addresses in the proxy";
    let blocks = ("WEBHOOK_BLOCK_PRIVATE", "true");
    let http = ("WEBHOOK_ALLOW_HTTP", "true");
    let log = log_of_start(&[proxy, blocks, http], endpoint).await;
    assert!(
        log.lines()
            .any(|line| line.contains("WARN") && line.contains(warning)),
        "{log}"
    );
    let log = log_of_start(&[proxy, http], endpoint).await;
    assert!(!log.contains(warning), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unverified_certificates_are_a_warning_at_start() {
    let endpoint = |more: &str| {
        format!("[[endpoint]]\nname = \"crm\"\nurl = \"https://hook.invalid/webhook\"\n{more}\n")
    };
    let warning = "certificates are not verified (insecure_skip_verify)";
    let log = log_of_start(&[], &endpoint("insecure_skip_verify = true")).await;
    let is_warning = |line: &str| line.contains("WARN") && line.contains(warning);
    assert!(
        log.lines()
            .any(|line| is_warning(line) && line.contains("crm")),
        "{log}"
    );
    let log = log_of_start(&[], &endpoint("")).await;
    assert!(!log.contains(warning), "{log}");
}
