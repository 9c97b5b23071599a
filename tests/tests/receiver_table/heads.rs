//! Header sections of answers at a plain HTTP address.

use std::time::Duration;

use wahook_tests::raw_receiver::Step;

use crate::ending::Ending;
use crate::rows::{Row, no_http, row, whole};

pub(crate) fn odd_heads() -> Vec<Row> {
    let header = format!("X-Large: {}\r\n", "a".repeat(1_014));
    let delivered = || Ending::delivered(200);
    let with = |line: &str| [whole("200 OK", line)];
    vec![
        row("headers_of_64_kib", with(&header.repeat(64)), delivered()),
        row(
            "headers_without_end",
            [
                Step::say("HTTP/1.1 200 OK\r\n"),
                Step::Repeat(header.into(), Duration::ZERO),
            ],
            no_http(),
        ),
        row(
            "a_header_without_end",
            [
                Step::say("HTTP/1.1 200 OK\r\nX-A: "),
                Step::Repeat("a".repeat(16_384).into(), Duration::ZERO),
            ],
            no_http(),
        ),
        row(
            "interim_answers_without_end",
            [Step::Repeat(
                "HTTP/1.1 103 Early Hints\r\n\r\n".into(),
                Duration::ZERO,
            )],
            Ending::failed(
                "protocol",
                "the answer was no HTTP: too many interim answers",
            ),
        ),
        row(
            "two_lengths",
            [Step::say(
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            )],
            no_http(),
        ),
        row(
            "another_protocol",
            [Step::say("SSH-2.0-OpenSSH_9.2\r\n"), Step::Hold],
            no_http(),
        ),
        row(
            "continue_first",
            [
                Step::say("HTTP/1.1 100 Continue\r\n\r\n"),
                whole("200 OK", ""),
            ],
            delivered(),
        ),
        row(
            "an_answer_before_the_body_was_read",
            [Step::Early(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
            )],
            delivered(),
        ),
    ]
}

/// Lines that no receiver may send by the standard; the status counts nevertheless.
pub(crate) fn malformed_lines() -> Vec<Row> {
    let delivered = || Ending::delivered(200);
    let with = |line: &str| [whole("200 OK", line)];
    vec![
        row("a_header_with_cr", with("X-A: one\rtwo\r\n"), delivered()),
        row("a_header_with_lf", with("X-A: one\ntwo\r\n"), delivered()),
        row(
            "a_header_with_cr_lf",
            with("X-A: one\r\n two\r\n"),
            delivered(),
        ),
        row("a_header_with_nul", with("X-A: \0\r\n"), delivered()),
        row(
            "a_header_with_a_space_before_the_colon",
            with("X-Thing : 1\r\n"),
            delivered(),
        ),
        row(
            "a_warning_of_php",
            with("PHP Warning:  Undefined variable $x in hook.php on line 3\r\n"),
            delivered(),
        ),
        row(
            "a_cookie_with_a_control_byte",
            with("Set-Cookie: a=\u{1}\r\n"),
            delivered(),
        ),
        row("headers_120", with(&"X-A: b\r\n".repeat(120)), delivered()),
    ]
}
