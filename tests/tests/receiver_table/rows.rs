//! Answers of a receiver at a plain HTTP address.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use wahook_tests::raw_receiver::Step;

use crate::ending::Ending;

/// Row of the table; `name` is also the event name.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
    pub(crate) ending: Ending,
}

impl Row {
    /// Maximum number of requests of one attempt: a kept connection that ends before any byte
    /// of an answer is replaced once.
    pub(crate) fn most_requests(&self) -> usize {
        match self.steps.first() {
            Some(Step::Close | Step::Reset) => 2,
            _ => 1,
        }
    }
}

/// Event that every receiver answers with 200.
pub(crate) const FINE: &str = "fine";

pub(crate) fn fine() -> Vec<Step> {
    vec![whole("200 OK", "")]
}

/// Complete answer without a body; each header ends with `\r\n`.
pub(crate) fn whole(status: &str, headers: &str) -> Step {
    Step::say(format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n"
    ))
}

/// Returns the rows except [`crate::heads`]; one of them redirects to `elsewhere`.
pub(crate) fn rows(elsewhere: &str) -> Vec<Row> {
    [slow(), no_answer(), odd_bodies(), statuses(elsewhere)]
        .into_iter()
        .flatten()
        .collect()
}

pub(crate) fn row(name: &'static str, steps: impl Into<Vec<Step>>, ending: Ending) -> Row {
    Row {
        name,
        steps: steps.into(),
        ending,
    }
}

pub(crate) fn no_http() -> Ending {
    Ending::failed("protocol", "the answer was no HTTP: …")
}

fn slow() -> Vec<Row> {
    let every_second = || Step::Repeat("a".into(), Duration::from_secs(1));
    let head = |length| {
        Step::say(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ))
    };
    vec![
        row("silence", [Step::Hold], Ending::timed_out()),
        row(
            "headers_only",
            [head(5), Step::Hold],
            Ending::delivered(200),
        ),
        row(
            "a_byte_a_second",
            [head(1_000_000), every_second()],
            Ending::delivered(200),
        ),
        row(
            "a_byte_a_second_of_a_header",
            [Step::say("HTTP/1.1 200 OK\r\nX-A: "), every_second()],
            Ending::timed_out(),
        ),
    ]
}

fn no_answer() -> Vec<Row> {
    let broken = || {
        Ending::failed(
            "connection_reset",
            "the connection broke off before an answer",
        )
    };
    vec![
        row("closed_without_an_answer", [Step::Close], broken()),
        row("reset_without_an_answer", [Step::Reset], broken()),
        row(
            "closed_within_the_head",
            [Step::say("HTTP/1.1 200 OK\r\nContent-"), Step::Close],
            broken(),
        ),
    ]
}

fn odd_bodies() -> Vec<Row> {
    let delivered = || Ending::delivered(200);
    let half = || Step::say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf-");
    let large = |status: &str, length: u64| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
        let chunk = Bytes::from(vec![b'a'; 65_536]);
        [Step::say(head), Step::Repeat(chunk, Duration::ZERO)]
    };
    let chunked = |body: &str| {
        [Step::say(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        ))]
    };
    vec![
        row(
            "closed_after_half_the_length",
            [half(), Step::Close],
            delivered(),
        ),
        row(
            "reset_within_the_body",
            // A reset discards bytes that the client has not read yet.
            [half(), Step::Wait(Duration::from_secs(10)), Step::Reset],
            delivered(),
        ),
        row("chunked_garbage", chunked("zz\r\ngarbage"), delivered()),
        row(
            "a_chunk_larger_than_can_be",
            chunked("ffffffffffffffffff\r\n"),
            delivered(),
        ),
        row("a_body_of_1_gb", large("200 OK", 1 << 30), delivered()),
        row("a_body_without_end", large("200 OK", 1 << 60), delivered()),
        row(
            "a_failure_with_1_gb",
            large("500 No", 1 << 30),
            Ending::answered("status_5xx", 500),
        ),
        row("a_gzip_bomb", gzip_bomb(), delivered()),
        row(
            "a_204_with_a_body",
            [Step::say(
                "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
            )],
            Ending::delivered(204),
        ),
        row(
            "a_body_to_the_end_of_the_connection",
            [Step::say("HTTP/1.1 200 OK\r\n\r\nhello"), Step::Close],
            delivered(),
        ),
    ]
}

fn gzip_bomb() -> [Step; 2] {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..200 {
        bomb.write_all(&[0; 1_048_576]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    let length = bomb.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
    [Step::say(head), Step::say(bomb)]
}

fn statuses(elsewhere: &str) -> Vec<Row> {
    let redirect = |status, to: &str| Ending {
        outcome: "redirect",
        status: Some(status),
        error: Some(format!("redirect to {to} not followed")),
    };
    let answered = Ending::answered;
    let only = |status: &str| [whole(status, "")];
    vec![
        row("status_000", only("000 Zero"), no_http()),
        row("status_99", only("99 Low"), no_http()),
        row(
            "status_999",
            only("999 High"),
            answered("status_other", 999),
        ),
        row("status_1000", only("1000 Higher"), no_http()),
        row(
            "status_101",
            only("101 Switching Protocols"),
            answered("status_other", 101),
        ),
        row("status_410", only("410 Gone"), answered("status_4xx", 410)),
        row("status_404", only("404 Gone"), answered("status_4xx", 404)),
        row("status_503", only("503 Away"), answered("status_5xx", 503)),
        row(
            "a_redirect_to_itself",
            [whole("301 Moved", "Location: /webhook\r\n")],
            redirect(301, "/webhook"),
        ),
        row(
            "a_redirect_to_another_host",
            [whole("308 Moved", &format!("Location: {elsewhere}\r\n"))],
            redirect(308, elsewhere),
        ),
        row(
            "a_redirect_without_end",
            [whole(
                "302 Found",
                &format!("Location: /{}\r\n", "a".repeat(10_000)),
            )],
            redirect(302, &format!("/{}…", "a".repeat(199))),
        ),
    ]
}
