//! A request as a `curl` command that sends the same bytes again, whatever
//! they are (pure).
//!
//! It is going to be pasted into somebody's terminal, and what is in it may
//! come from anybody. So no control character gets into it but a line end
//! between quotes: the others could end a paste, or be keys to the shell.

use std::fmt::Write as _;

use axum::http::{HeaderMap, Method, header};

use crate::request::Request;

/// Longer bodies come from the receiver itself: terminals, and the system's
/// limit of 128 KiB for one argument, don't like them.
const INLINE_BYTES: usize = 32 << 10;

/// The command that sends `request` to the receiver at `origin`, where it has
/// this number. Any POSIX shell runs it.
pub(crate) fn command(request: &Request, number: u64, origin: &str) -> String {
    let body = request.body.as_ref();
    let (before, data) = if body.is_empty() {
        let none_meant = matches!(request.method, Method::GET | Method::HEAD);
        let data = if none_meant { "" } else { " --data-raw ''" };
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

/// Those of the request, without those that belong to its connection, and
/// without those that curl would add.
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
            // How curl is told to send a header without a value.
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

/// Text that can be pasted as it is.
fn is_plain(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(|c| c.is_control() && c != '\n'))
}

/// As one word for a shell. (No word that needs `printf` ends in a line end,
/// which the shell would take away: those are header lines.)
fn quoted(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) if is_plain(bytes) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => format!("\"$({})\"", printed(bytes)),
    }
}

/// A command that prints these bytes.
fn printed(bytes: &[u8]) -> String {
    let mut command = String::from("printf '");
    for (at, byte) in bytes.iter().enumerate() {
        let _infallible = match byte {
            b'%' => write!(command, "%%"),
            // At the beginning it would be an option.
            b'-' if at == 0 => write!(command, "\\055"),
            b'\\' | b'\'' => write!(command, "\\{byte:03o}"),
            b' '..=b'~' => write!(command, "{}", char::from(*byte)),
            _ => write!(command, "\\{byte:03o}"),
        };
    }
    command.push('\'');
    command
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

    /// What a shell hands to the program `curl`, which here prints it back.
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

    /// What a shell pipes into it.
    fn piped(command: &str) -> Vec<u8> {
        let script = format!("curl() {{ cat; }}\n{command}");
        let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}");
        ran.stdout
    }

    #[test]
    fn a_usual_delivery_is_readable() {
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
    fn what_curl_would_add_or_take_for_its_own_is_prevented() {
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
    fn a_body_that_is_too_long_for_a_terminal_is_fetched_from_here() {
        let request = request("POST", "/", &[b'x'; INLINE_BYTES + 1]);
        let command = command(&request, 7, "http://127.0.0.1:4000");
        let start = "curl -sS 'http://127.0.0.1:4000/_receiver/api/deliveries/7/body' | curl -i";
        assert!(command.starts_with(start), "{command}");
        assert!(command.ends_with(" --data-binary @-"), "{command}");
    }

    #[test]
    fn a_request_without_a_body_has_none() {
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
        fn a_shell_hands_on_any_body_as_it_is(body in proptest::collection::vec(any::<u8>(), 1..200)) {
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
        fn a_shell_hands_on_any_text_as_it_is(body in r#"[ -~\n'"$`\\!@%é😀\t-]{1,60}"#) {
            let command = command(&request("POST", "/", body.as_bytes()), 1, "http://h");
            if is_plain(body.as_bytes()) {
                prop_assert_eq!(arguments(&command).pop().unwrap(), body.as_bytes());
            } else {
                prop_assert_eq!(piped(&command), body.as_bytes());
            }
        }

        #[test]
        fn a_shell_hands_on_any_header_as_it_is(value in proptest::collection::vec(0x20..=0xff_u8, 1..60)) {
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
