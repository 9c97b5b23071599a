//! Answers that are success although something is wrong with them, and answers without end.

use super::*;
use wahook_domain::FailureCause;

/// Returns the outcome of a receiver that sends these bytes and closes.
async fn outcome_of(answer: Vec<u8>) -> Outcome {
    let receiver = Receiver::start(move |mut caller: Caller| {
        let answer = answer.clone();
        async move {
            caller.hear().await?;
            caller.say(answer).await
        }
    })
    .await;
    let outcome = post(&receiver.client()).await;
    assert_eq!(receiver.requests(), 1);
    outcome
}

#[tokio::test]
async fn start_of_the_answer_is_kept_after_a_failure_only() {
    for (status, expected) in [("503 Down", Some("out of paper")), ("200 OK", None)] {
        let receiver = Receiver::start(move |mut caller: Caller| async move {
            loop {
                caller.hear().await?;
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 12\r\n\r\nout of paper");
                caller.say(answer).await?;
            }
        })
        .await;
        let client = receiver.client();
        for _ in 0..2 {
            let posted = client.post(&event(), UnixMillis::new(0)).await;
            assert_eq!(posted.response.as_deref(), expected, "{status}");
        }
        assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
    }
}

/// Answer with a header line next to its length.
fn with(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 0\r\n\r\n").into()
}

#[tokio::test]
async fn a_2xx_with_a_malformed_header_line_is_a_success() {
    for line in [
        "X-Thing : 1",
        "X-Folded: one\r\n two",
        "X-Folded: one\r\n\ttwo",
        "PHP Warning:  Undefined variable $x in /var/www/hook.php on line 3",
        "<br />\n<b>Warning</b>: Undefined variable",
        "Set-Cookie: session=a\u{1}b",
        "Set-Cookie: session=a\0b",
        "X-Bare: one\rtwo",
        ": without a name",
        "without a colon",
        "X-Ünïcode: ü",
    ] {
        assert_eq!(outcome_of(with(line)).await, DELIVERED, "{line:?}");
    }
    let many: Vec<_> = (0..120).map(|n| format!("X-{n}: {n}")).collect();
    assert_eq!(outcome_of(with(&many.join("\r\n"))).await, DELIVERED);
}

#[tokio::test]
async fn a_2xx_is_a_success_whatever_becomes_of_its_body() {
    for rest in [
        "Content-Length: 10\r\n\r\nhalf-",
        "Content-Length: 5\r\n\r\nlonger than five",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhal",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\ngarbage",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
        "\r\nuntil the end",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{rest}");
        assert_eq!(outcome_of(answer.into()).await, DELIVERED, "{rest:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_complete_header_section_is_a_failure() {
    for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX-A: b\r\n"] {
        let outcome = outcome_of(answer.into()).await;
        let cause = FailureCause::ConnectionReset;
        let detail = String::new();
        assert_eq!(outcome, Outcome::Failed { cause, detail }, "{answer:?}");
    }
}

/// A body that does not end delays the outcome by the small limit of its reading only.
#[tokio::test]
async fn a_body_without_end_is_not_waited_for_until_the_deadline() {
    for rest in [
        "Content-Length: 5\r\n\r\nhal",
        "Transfer-Encoding: chunked\r\n\r\n",
    ] {
        let receiver = Receiver::start(move |mut caller: Caller| async move {
            caller.hear().await?;
            caller.say(format!("HTTP/1.1 200 OK\r\n{rest}")).await?;
            caller.hold().await
        })
        .await;
        let start = Instant::now();
        let client = receiver.client();
        assert_eq!(post(&client).await, DELIVERED);
        assert!(start.elapsed() < AMPLE / 2, "took {:?}", start.elapsed());
        // The rest could still arrive, so the connection is not used again.
        assert_eq!(post(&client).await, DELIVERED);
        assert_eq!(receiver.connections(), 2);
    }
}

#[tokio::test]
async fn a_few_interim_answers_are_skipped() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(10);
    assert_eq!(outcome_of(format!("{interim}{OK}").into()).await, DELIVERED);
}

#[tokio::test]
async fn endless_interim_answers_are_a_failure_at_once() {
    for (interim, excess) in [
        (
            "HTTP/1.1 103 E\r\n\r\n".to_owned(),
            "too many interim answers",
        ),
        (
            format!("HTTP/1.1 103 E\r\nX: {}\r\n\r\n", "a".repeat(100_000)),
            "too many bytes before the answer",
        ),
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let receiver = Receiver::start(move |mut caller: Caller| {
            let (interim, sent) = (interim.clone(), Arc::clone(&counted));
            async move {
                caller.hear().await?;
                loop {
                    caller.say(&interim).await?;
                    sent.fetch_add(interim.len(), SeqCst);
                }
            }
        })
        .await;
        let outcome = post(&receiver.client()).await;
        let cause = FailureCause::Protocol;
        let detail = excess.to_owned();
        assert_eq!(outcome, Outcome::Failed { cause, detail });
        // What the sockets hold is sent, but not read.
        let sent = sent.load(SeqCst);
        assert!(sent < 64 * 1024 * 1024, "{sent} bytes were sent");
    }
}
