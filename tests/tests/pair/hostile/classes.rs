//! Classes of invalid requests.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use wahook_tests::random::Random;
use wahook_tests::raw_http::Then;

use super::LIMIT;

pub(super) struct Class {
    pub(super) name: &'static str,
    /// Accepted statuses.
    pub(super) statuses: &'static [u16],
    pub(super) then: Then,
    pub(super) make: fn(&mut Random) -> Vec<u8>,
}

const fn class(
    name: &'static str,
    statuses: &'static [u16],
    make: fn(&mut Random) -> Vec<u8>,
) -> Class {
    Class {
        name,
        statuses,
        then: Then::Wait,
        make,
    }
}

pub(super) const ALL: &[Class] = &[
    class("truncated JSON", &[400], |random| {
        let whole = sample(random);
        let end = random.within(0, whole.len() - 1);
        json(&whole.as_bytes()[..end])
    }),
    class("JSON with leading or trailing input", &[400], |random| {
        let noise = random.one_of(&["x", "}", "{}", ",", "\u{feff}", "\0", "//", "NaN"]);
        let event = sample(random);
        let around = [format!("{noise}{event}"), format!("{event}{noise}")];
        json(around[random.within(0, 1)].as_bytes())
    }),
    class("bytes that are invalid in JSON", &[400], |random| {
        let bytes = [0x00, 0x01, 0x1f, 0x80, 0xc0, 0xf5, 0xff];
        let mut event = sample(random).as_bytes().to_vec();
        // Within the name of the event, an ASCII string.
        let place = random.within(10, 14);
        event.insert(place, bytes[random.within(0, bytes.len() - 1)]);
        json(&event)
    }),
    class("invalid escapes", &[400], |random| {
        let escape = random.one_of(&["\\x", "\\u12", "\\u12g4", "\\", "\\'", "\\U0041"]);
        json(format!("{{\"event\":\"test\",\"data\":{{\"a\":\"{escape}\"}}}}").as_bytes())
    }),
    class("nested too deeply", &[400], |random| {
        let depth = random.within(65, 8_000);
        let (open, close) = [("[", "]"), ("{\"a\":", "}")][random.within(0, 1)];
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        json(format!("{{\"event\":\"test\",\"data\":{{\"a\":{open}1{close}}}}}").as_bytes())
    }),
    class("misplaced or malformed numbers", &[400, 422], |random| {
        let digits = "9".repeat(random.within(1, 30_000));
        let number = random.one_of(&[
            digits.as_str(),
            "1e99999",
            "-1e-99999",
            "01",
            "+1",
            ".5",
            "1.",
            "0x1",
            "--1",
        ]);
        json(format!("{{\"event\":{number},\"data\":{{}}}}").as_bytes())
    }),
    class("event names of wrong types", &[422], |random| {
        let wrong = random.one_of(&[
            "null", "true", "1.5", "[]", "{}", "\"\"", "\"Test\"", "\"é\"",
        ]);
        json(format!("{{\"event\":{wrong},\"data\":{{}}}}").as_bytes())
    }),
    class("data or timestamps of wrong types", &[422], |random| {
        let (member, wrong) = [
            ("data", "\"\""),
            ("data", "[{}]"),
            ("data", "7"),
            ("timestamp", "{}"),
            ("timestamp", "true"),
        ][random.within(0, 4)];
        json(format!("{{\"event\":\"test\",\"{member}\":{wrong}}}").as_bytes())
    }),
    class("JSON other than objects", &[422], |random| {
        json(
            random
                .one_of(&[
                    "[]",
                    "null",
                    "\"event\"",
                    "0",
                    "true",
                    "[{\"event\":\"test\"}]",
                ])
                .as_bytes(),
        )
    }),
    class("empty or blank", &[400], |random| {
        json(" \n\t\r".repeat(random.within(0, 100)).as_bytes())
    }),
    class("too large", &[413], |random| {
        json(&vec![b' '; LIMIT + random.within(1, LIMIT)])
    }),
    class("too large in chunks", &[413], |random| {
        let body = vec![b' '; LIMIT + random.within(1, LIMIT)];
        let mut request = head(&["transfer-encoding: chunked"]);
        for chunk in body.chunks(random.within(100, 5_000)) {
            request.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
        request.extend(b"0\r\n\r\n");
        request
    }),
    class("gzip bombs", &[413], |random| {
        packed("gzip", &gzip(&vec![b' '; LIMIT * random.within(2, 100)]))
    }),
    class("broken gzip", &[400], |random| {
        let mut bytes = gzip(sample(random).as_bytes());
        match random.within(0, 2) {
            0 => bytes.truncate(random.within(0, bytes.len() - 1)),
            1 => bytes = random.bytes(50),
            // In the checksum or the length.
            _ => {
                let place = bytes.len() - random.within(1, 8);
                bytes[place] ^= 0x55;
            }
        }
        packed("gzip", &bytes)
    }),
    class("gzip of invalid events", &[400, 422], |random| {
        packed(
            "GZIP",
            &gzip(random.one_of(&["", "{", "{}", "[]"]).as_bytes()),
        )
    }),
    class("unsupported encodings", &[415], |random| {
        let encodings = [
            "br",
            "deflate",
            "zstd",
            "gzip, gzip",
            "identity, gzip",
            "",
            "x",
            "*",
        ];
        packed(random.one_of(&encodings), b"{\"event\":\"test\"}")
    }),
    class("unsupported media types", &[415], |random| {
        let types = [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application",
            "",
            "json",
            "application/jsonl",
            "multipart/form-data; boundary=x",
            "application/json, text/plain",
            "\u{e9}",
        ];
        let media_type = format!("content-type: {}", random.one_of(&types));
        with_body(&[&media_type], b"{\"event\":\"test\"}")
    }),
    class("invalid idempotency keys", &[400], |random| {
        let long = "x".repeat(random.within(256, 3_000));
        let key = random.one_of(&[
            "a b",
            "",
            "\u{e9}",
            "a\tb",
            "a\r\nidempotency-key: b",
            &long,
        ]);
        with_body(
            &[&format!("idempotency-key: {key}")],
            b"{\"event\":\"test\"}",
        )
    }),
    class("other methods", &[405], |random| {
        let method = random.one_of(&[
            "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post", "BREW",
        ]);
        format!("{method} /v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .into()
    }),
    class("other paths", &[404], |random| {
        let paths = [
            "/",
            "/v1/event",
            "/v1/events/",
            "//v1/events",
            "/v1/events/x",
            "/V1/events",
            "/v1%2fevents",
            "/v1/events/../events",
            "/%00",
            "/.env",
            "/v1/events;x",
        ];
        let path = random.one_of(&paths);
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .into()
    }),
    class("random bytes instead of HTTP", &[400], |random| {
        let mut noise = random.bytes(2_000);
        // Not a valid first byte of a method: the server would wait for its end.
        noise.insert(0, 0x16);
        noise.extend(b"\r\n\r\n");
        noise
    }),
    class("malformed heads", &[400], |random| {
        let broken = [
            "no-colon",
            "space : x",
            "nul: \0",
            "a\u{e9}: x",
            " folded: x",
            ": x",
            "content-length: -1",
            "content-length: 1e3",
            "content-length: 18446744073709551616",
            "content-length: 5\r\ncontent-length: 6",
            "transfer-encoding: gzip",
            "transfer-encoding: chunked, gzip",
        ];
        with_body(&[random.one_of(&broken)], b"{\"event\":\"test\"}")
    }),
    class("malformed request lines", &[400], |random| {
        let lines = [
            "POST /v1/events",
            "POST /v1/events HTTP/9.9",
            "POST  HTTP/1.1",
            "PRI * HTTP/2.0",
            "POST /a b HTTP/1.1",
            "GET \0 HTTP/1.1",
            "(POST) / HTTP/1.1",
        ];
        format!("{}\r\nhost: localhost\r\n\r\n", random.one_of(&lines)).into()
    }),
    class("oversized heads", &[414, 431], |random| {
        let size = random.within(33_000, 200_000);
        match random.within(0, 2) {
            0 => with_body(&[&format!("x: {}", "x".repeat(size))], b"{}"),
            1 => format!("POST /{} HTTP/1.1\r\n\r\n", "x".repeat(size)).into(),
            _ => with_body(&vec!["x: y"; random.within(101, 2_000)], b"{}"),
        }
    }),
    class("malformed chunks", &[400], |random| {
        let chunks = [
            "5\r\n{\"a\r\n",
            "zz\r\n{}\r\n0\r\n\r\n",
            "-1\r\n\r\n",
            "ffffffffffffffffff\r\n",
            "3\r\n{}\r\n\r\n0\r\n\r\n",
            "2\r\n{}0\r\n\r\n",
            "\r\n\r\n",
            "2;\n{}\r\n0\r\n\r\n",
            "2\r\n{}\r\n0\r\nnot a trailer\r\n\r\n",
        ];
        let mut request = head(&["transfer-encoding: chunked"]);
        request.extend(random.one_of(&chunks).as_bytes());
        request
    })
    .with_half_close(),
    class("truncated bodies", &[400], |random| {
        let mut request = with_body(&[], sample(random).as_bytes());
        request.truncate(request.len() - random.within(1, 50));
        request
    })
    .with_half_close(),
    class("garbage after an invalid request", &[400, 422], |random| {
        let bad = random.one_of(&["{}", "{\"event\":", "[]"]);
        let length = bad.len();
        let mut request = format!(
            "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{bad}\x16"
        )
        .into_bytes();
        request.extend(random.bytes(2_000));
        request.extend(b"\r\n\r\n");
        request
    }),
    class("batches of invalid lines", &[207], |random| {
        let lines = [
            "{}",
            "[]",
            "\0",
            "{\"event\":\"A\"}",
            "\"",
            "{\"event\":\"test\",\"data\":1}",
            "\u{feff}{}",
        ];
        let batch: String = (0..random.within(1, 300))
            .map(|_| format!("{}\n", random.one_of(&lines)))
            .collect();
        with_body(&["content-type: application/x-ndjson"], batch.as_bytes())
    }),
    class("invalid batches", &[400, 413], |random| {
        let (key, lines) = [
            ("idempotency-key: a", 1),
            ("x: y", 10_001 + random.within(0, 5_000)),
        ][random.within(0, 1)];
        with_body(
            &["content-type: application/x-ndjson", key],
            "1\n".repeat(lines).as_bytes(),
        )
    }),
];

impl Class {
    const fn with_half_close(self) -> Self {
        Self {
            then: Then::SayEnd,
            ..self
        }
    }
}

fn sample(random: &mut Random) -> &'static str {
    let samples: Vec<_> = wahook_domain::samples().collect();
    random.one_of(&samples)
}

/// Has the media type of an event unless `headers` have another one.
fn head(headers: &[&str]) -> Vec<u8> {
    let has_type = headers.iter().any(|line| line.starts_with("content-type"));
    let own_type = (!has_type).then_some("content-type: application/json");
    let lines = own_type.iter().chain(headers);
    let lines: String = lines.map(|header| format!("{header}\r\n")).collect();
    format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n")
        .into()
}

fn with_body(headers: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}", body.len());
    let mut request = head(&[headers, &[&length]].concat());
    request.extend(body);
    request
}

fn json(body: &[u8]) -> Vec<u8> {
    with_body(&["content-type: application/json"], body)
}

fn packed(encoding: &str, body: &[u8]) -> Vec<u8> {
    with_body(&[&format!("content-encoding: {encoding}")], body)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
