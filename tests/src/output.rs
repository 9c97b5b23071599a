//! Reads the output of a program line by line and finds the URL that it listens on.

use std::io::{BufRead, BufReader, Read};
use std::thread;

use tokio::sync::watch;

const LISTENING: &str = "listening on http://";

/// Passes each line (with its line end) to `on_line` as it is written, on a separate thread,
/// until the pipe ends. The receiver gets the first logged server URL; its sender is dropped
/// at the end of the pipe.
pub fn follow(
    pipe: impl Read + Send + 'static,
    mut on_line: impl FnMut(&str) + Send + 'static,
) -> watch::Receiver<Option<String>> {
    let (announce, url) = watch::channel(None);
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while pipe
            .read_until(b'\n', &mut bytes)
            .is_ok_and(|read| read > 0)
        {
            let line = String::from_utf8_lossy(&bytes);
            on_line(&line);
            let found = listening_url(&line);
            announce.send_if_modified(|url| {
                url.is_none() && found.is_some() && {
                    *url = found;
                    true
                }
            });
            bytes.clear();
        }
    });
    url
}

fn listening_url(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(LISTENING)?;
    let end = rest.find(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)));
    let authority = rest.get(..end.unwrap_or(rest.len()))?;
    Some(format!("http://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_text_and_in_json_lines() {
        let text = "12:00:00 INFO listening on http://127.0.0.1:4711\n";
        let json = r#"{"level":"INFO","message":"listening on http://127.0.0.1:4711"}"#;
        for line in [text, json] {
            assert_eq!(listening_url(line).unwrap(), "http://127.0.0.1:4711");
        }
        assert_eq!(listening_url("not listening"), None);
    }

    #[tokio::test]
    async fn the_first_address_is_reported_and_every_line_is_passed_on() {
        let written = "listening on http://127.0.0.1:1\nlistening on http://127.0.0.1:2\nend";
        let (sender, lines) = std::sync::mpsc::channel();
        let mut url = follow(written.as_bytes(), move |line| {
            sender.send(line.to_owned()).unwrap();
        });
        assert_eq!(lines.iter().collect::<String>(), written);
        // Fails at the end of the pipe, when the sender is dropped.
        while url.changed().await.is_ok() {}
        assert_eq!(url.borrow().as_deref(), Some("http://127.0.0.1:1"));
    }
}
