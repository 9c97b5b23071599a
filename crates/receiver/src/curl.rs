//! A request as a `curl` command that sends the same bytes again (pure).

use std::fmt::Write as _;

use axum::http::{HeaderMap, Method, header};
use wahook_runtime::shell_text::{is_plain, printed, quoted};

use crate::request::Request;

/// Limit for a body in the command. The command fetches longer ones from the receiver,
/// because of terminals and of the system's limit of 128 KiB for one argument.
const INLINE_BYTES: usize = 32 << 10;

/// Returns the command for any POSIX shell that sends `request` again, to the receiver at
/// `origin`, which stores the request under this number.
pub(crate) fn command(request: &Request, number: u64, origin: &str) -> String {
    let body = request.body.as_ref();
    let (before, data) = if body.is_empty() {
        let no_body = matches!(request.method, Method::GET | Method::HEAD);
        let data = if no_body { "" } else { " --data-raw ''" };
        (String::new(), data.to_owned())
    } else if body.len() > INLINE_BYTES {
        let url = quoted(format!("{origin}/_receiver/api/deliveries/{number}/body").as_bytes());
        (format!("curl -sS {url} | "), " --data-binary @-".to_owned())
    } else if is_plain(body) {
        (String::new(), format!(" --data-raw {}", quoted(body)))
    } else {
        (
            format!("{} | ", printed(body)),
            " --data-binary @-".to_owned(),
        )
    };
    let head = if request.method == Method::HEAD {
        "--head".to_owned()
    } else {
        format!("-X {}", quoted(request.method.as_str().as_bytes()))
    };
    let target = target(&request.target, origin);
    let headers = headers(&request.headers);
    format!("{before}curl -i {head} {target}{headers}{data}")
}

fn target(target: &str, origin: &str) -> String {
    if !target.starts_with('/') {
        let (target, url) = (quoted(target.as_bytes()), quoted(origin.as_bytes()));
        return format!("--request-target {target} {url}");
    }
    let glob = if target.contains(['[', ']', '{', '}']) {
        "--globoff "
    } else {
        ""
    };
    let dots = if target.contains("/.") {
        "--path-as-is "
    } else {
        ""
    };
    format!(
        "{glob}{dots}{}",
        quoted(format!("{origin}{target}").as_bytes())
    )
}

/// Returns the header options: the headers of the request without those of its connection.
/// Headers that curl would add are switched off.
fn headers(headers: &HeaderMap) -> String {
    let of_connection = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::EXPECT,
    ];
    let mut options = String::new();
    for (name, value) in headers {
        if of_connection.contains(name) {
            continue;
        }
        let line = match value.as_bytes() {
            // curl's notation for a header without a value.
            [] => format!("{name};").into_bytes(),
            value => [name.as_str().as_bytes(), b": ", value].concat(),
        };
        options.push_str(" -H ");
        options.push_str(&quoted(&line));
    }
    for added in [header::ACCEPT, header::CONTENT_TYPE, header::USER_AGENT] {
        if !headers.contains_key(&added) {
            let _infallible = write!(options, " -H '{added}:'");
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use axum::body::Bytes;
    use proptest::prelude::*;
    use wahook_domain::UnixMillis;

    use super::*;

    fn request(method: &str, target: &str, body: &[u8]) -> Request {
        Request {
            arrived: UnixMillis::new(0),
            method: method.parse().unwrap(),
            target: target.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body),
            cut: None,
        }
    }

    /// Returns the arguments that a shell passes to `curl`.
    fn arguments(command: &str) -> Vec<Vec<u8>> {
        let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\n{command}");
        let ran = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}");
        let mut words: Vec<Vec<u8>> = ran
            .stdout
            .split(|byte| *byte == 0)
            .map(<[u8]>::to_vec)
            .collect();
        words.pop();
        words
    }

    /// Returns the bytes that a shell pipes into `curl`.
    fn piped(command: &str) -> Vec<u8> {
        let script = format!("curl() {{ cat; }}\n{command}");
        let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}");
        ran.stdout
    }

    #[test]
    fn command_of_a_typical_delivery_is_readable() {
        let mut request = request("POST", "/webhook?a=1", br#"{"text":"it's"}"#);
        request
            .headers
            .insert("content-type", "application/json".parse().unwrap());
        request
            .headers
            .insert("user-agent", "WhatsApp-Web-API/2.0".parse().unwrap());
        request.headers.insert("accept", "*/*".parse().unwrap());
        request.headers.insert("host", "x".parse().unwrap());
        request
            .headers
            .insert("content-length", "15".parse().unwrap());
        assert_eq!(
            command(&request, 1, "http://127.0.0.1:4000"),
            concat!(
                "curl -i -X 'POST' 'http://127.0.0.1:4000/webhook?a=1'",
                " -H 'content-type: application/json' -H 'user-agent: WhatsApp-Web-API/2.0'",
                " -H 'accept: */*'",
                r#" --data-raw '{"text":"it'\''s"}'"#,
            )
        );
    }

    #[test]
    fn curl_adds_no_headers_and_interprets_no_input() {
        let mut request = request("PUT", "/a/../[1]{2}", b"@/etc/passwd");
        request.headers.insert("x-empty", "".parse().unwrap());
        let words = arguments(&command(&request, 1, "http://h"));
        let words: Vec<_> = words
            .iter()
            .map(|word| str::from_utf8(word).unwrap())
            .collect();
        assert_eq!(
            words,
            [
                "-i",
                "-X",
                "PUT",
                "--globoff",
                "--path-as-is",
                "http://h/a/../[1]{2}",
                "-H",
                "x-empty;",
                "-H",
                "accept:",
                "-H",
                "content-type:",
                "-H",
                "user-agent:",
                "--data-raw",
                "@/etc/passwd",
            ]
        );
    }

    #[test]
    fn large_body_is_fetched_from_the_receiver() {
        let request = request("POST", "/", &[b'x'; INLINE_BYTES + 1]);
        let command = command(&request, 7, "http://127.0.0.1:4000");
        let start = "curl -sS 'http://127.0.0.1:4000/_receiver/api/deliveries/7/body' | curl -i";
        assert!(command.starts_with(start), "{command}");
        assert!(command.ends_with(" --data-binary @-"), "{command}");
    }

    #[test]
    fn request_without_a_body_sends_none() {
        let get = command(&request("GET", "/", b""), 1, "http://h");
        assert!(!get.contains("--data"), "{get}");
        let head = command(&request("HEAD", "/x", b""), 1, "http://h");
        assert!(head.starts_with("curl -i --head 'http://h/x'"), "{head}");
        let options = command(&request("OPTIONS", "*", b""), 1, "http://h");
        assert!(
            options.contains("--request-target '*' 'http://h'"),
            "{options}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn shell_passes_any_body_unchanged(body in proptest::collection::vec(any::<u8>(), 1..200)) {
            let command = command(&request("POST", "/", &body), 1, "http://h");
            prop_assert!(is_plain(command.as_bytes()));
            prop_assert!(body.contains(&b'\n') || !command.contains('\n'));
            if is_plain(&body) {
                prop_assert_eq!(arguments(&command).pop().unwrap(), body);
            } else {
                prop_assert_eq!(piped(&command), body);
            }
        }

        #[test]
        fn shell_passes_any_text_unchanged(body in r#"[ -~\n'"$`\\!@%é😀\t-]{1,60}"#) {
            let command = command(&request("POST", "/", body.as_bytes()), 1, "http://h");
            if is_plain(body.as_bytes()) {
                prop_assert_eq!(arguments(&command).pop().unwrap(), body.as_bytes());
            } else {
                prop_assert_eq!(piped(&command), body.as_bytes());
            }
        }

        #[test]
        fn shell_passes_any_header_unchanged(value in proptest::collection::vec(0x20..=0xff_u8, 1..60)) {
            let Ok(header) = axum::http::HeaderValue::from_bytes(&value) else {
                return Ok(());
            };
            let mut request = request("POST", "/", b"x");
            request.headers.insert("x-any", header);
            let words = arguments(&command(&request, 1, "http://h"));
            let line = [b"x-any: ", &value[..]].concat();
            prop_assert!(words.contains(&line), "{words:?}");
        }
    }
}
