//! HTTP edge of the producer: compressed bodies, slow clients, and many large bodies at once.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Pair;
use wahook_tests::raw_http::{RawAnswer, Then, exchange, parse_all};
use wahook_tests::receiver::Receiver;

use crate::hostile::{gzip, server};
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_gzipped_event_is_delivered_unchanged", gzipped);
    tests.add("a_slow_request_is_answered_408", dribbling);
    tests.add("a_silent_connection_is_closed_without_an_answer", silent);
    tests.add(
        "a_refusal_before_the_end_of_the_body_closes_the_connection",
        refused_early,
    );
    tests.add(
        "many_slow_large_bodies_are_refused_before_memory_grows",
        slow_and_large,
    );
}

async fn gzipped(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let event = r#"{"event":"test","data":{"a":"é"},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    let other = event.replace("é", "è");
    let batch = format!("{event}\n{other}");
    let url = format!("{}/v1/events", pair.producer.base_url());
    for (media_type, body) in [
        ("application/json", event),
        ("application/x-ndjson", &batch),
    ] {
        let request = http_client().unwrap().post(&url);
        let request = request
            .header("content-encoding", "gzip")
            .header("content-type", media_type)
            .body(gzip(body.as_bytes()));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
    let posts = pair.receiver.wait_for(2, AT_LAST).await;
    assert!(posts.iter().any(|post| post.body == event));
    assert!(posts.iter().any(|post| post.body == other));
}

/// Sends `start`, then one byte per second until the server answers. Returns the answer and
/// its time.
async fn dribble(pair: &Pair, start: &str) -> (RawAnswer, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(server(pair)).await.unwrap();
    stream.write_all(start.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut received = Vec::new();
    let dribbling = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        _ = reader.read_to_end(&mut received) => {}
        () = dribbling => { let _reset = reader.read_to_end(&mut received).await; }
    }
    let answers = parse_all(&received).unwrap();
    (answers.into_iter().next().unwrap(), began.elapsed())
}

async fn dribbling(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let requests = [
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\nx: ",
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n",
        // Chunk of 1,000 bytes.
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n3e8\r\n",
    ];
    for (answer, took) in join_all(requests.map(|start| dribble(&pair, start))).await {
        assert_eq!(answer.status, 408, "{answer:?}");
        assert!(
            answer
                .head
                .contains("content-type: application/problem+json")
        );
        assert!(answer.head.contains("connection: close"), "{answer:?}");
        assert!(
            answer.body.contains("urn:wahook:problem:too-slow"),
            "{answer:?}"
        );
        assert!(took < Duration::from_secs(30), "{took:?}");
    }
    pair.post(&json!({"event": "test"})).await.accepted_id();
}

async fn silent(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let began = Instant::now();
    let mut stream = TcpStream::connect(server(&pair)).await.unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"");
    assert!(began.elapsed() < Duration::from_secs(30));
}

/// Answers announce `connection: close` if the server closes the connection.
async fn refused_early(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let refused = |rest: &str| {
        format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n{rest}")
    };
    let closing = [
        "content-length: 1000000\r\n\r\nhalf of it",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "expect: 100-continue\r\ncontent-length: 5\r\n\r\n",
    ];
    for rest in closing {
        let answers = exchange(server(&pair), refused(rest).as_bytes(), Then::Wait).await;
        let [answer] = &answers.unwrap()[..] else {
            panic!("expected one answer to {rest}");
        };
        assert_eq!(answer.status, 415);
        assert!(answer.head.contains("connection: close"), "{answer:?}");
    }
    let whole = refused("content-length: 5\r\n\r\nhello");
    let last = refused("connection: close\r\ncontent-length: 0\r\n\r\n");
    let answers = exchange(server(&pair), (whole + &last).as_bytes(), Then::Wait).await;
    let [first, second] = &answers.unwrap()[..] else {
        panic!("expected two answers");
    };
    assert!(!first.head.contains("connection: close"), "{first:?}");
    assert_eq!((first.status, second.status), (415, 415));
}

/// Number of clients that announce a body of 1 MiB, send half of it, and wait.
const CLIENTS: usize = 400;

async fn slow_and_large(test: Test) {
    let settings = [
        ("PRODUCER_MAX_BODY_BYTES", "1048576"),
        ("PRODUCER_MEMORY_BUDGET_BYTES", "67108864"),
    ];
    let pair = test.pair(Receiver::start().await, &settings).await;
    let memory = || async {
        let counts = pair.producer.metrics().await;
        (
            counts.sum("process_resident_memory_bytes"),
            counts.sum("wahook_requests_in_flight"),
        )
    };
    let (before, _) = memory().await;
    let half = vec![b' '; 512 << 10];
    let attack = || async {
        let mut stream = TcpStream::connect(server(&pair)).await?;
        let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        // Fails when the memory budget is used up.
        let _refused = stream.write_all(&half).await;
        std::io::Result::Ok(stream)
    };
    let attackers = try_join_all((0..CLIENTS).map(|_| attack())).await.unwrap();
    // Until then the producer has not read what all of them sent.
    let refused = async || {
        pair.producer
            .metrics()
            .await
            .sum("wahook_events_refused_total")
    };
    eventually(AT_LAST, "an answer to all others", || async {
        (refused().await >= (CLIENTS - 128) as f64).then_some(())
    })
    .await;
    // The accepted requests hold the whole budget: 128 times half a MiB.
    let busy = eventually(AT_LAST, "refusal of the other requests", || async {
        let (during, in_flight) = memory().await;
        (in_flight <= 128.0).then_some((during, in_flight))
    });
    let (during, in_flight) = busy.await;
    let grown = (during - before) / f64::from(1 << 20);
    eprintln!("{CLIENTS} clients with 512 KiB each: {in_flight} held, {grown:.0} MiB more");
    assert!(grown < 160.0, "{grown} MiB");
    let large = json!({"event": "test", "data": {"x": "x".repeat(500_000)}});
    let refused = pair.post(&large).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.json()["type"], "urn:wahook:problem:busy");

    drop(attackers);
    eventually(AT_LAST, "acceptance of a valid event", || async {
        let answer = pair.post(&json!({"event": "test"})).await;
        (answer.status == StatusCode::ACCEPTED).then_some(())
    })
    .await;
}
