use std::{
    io::{self, Write},
    panic,
    sync::{Arc, Mutex},
};

use serde_json::Value;

use super::*;

/// Writer that keeps the log lines for a test.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn logged(format: LogFormat, filter: &str, events: impl FnOnce()) -> String {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = subscriber(format, filter.parse().unwrap(), false, move || {
            writer.clone()
        });
        tracing::subscriber::with_default(subscriber, events);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }
}

#[test]
fn json_line_is_one_object_with_its_fields_at_top_level() {
    let text = Lines::logged(LogFormat::Json, "info", || {
        tracing::info!(event_id = "e1", attempt = 2, "delivered\nfinally");
    });
    assert_eq!(text.lines().count(), 1);
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["message"], "delivered\nfinally");
    assert_eq!(
        (&line["event_id"], &line["attempt"]),
        (&"e1".into(), &2.into())
    );
    assert_eq!(line["level"], "INFO");
    assert!(line["timestamp"].is_string());
}

#[test]
fn text_line_has_no_colour_codes_outside_a_terminal() {
    let text = Lines::logged(LogFormat::Text, "info", || {
        tracing::warn!(status = 500, "refused");
    });
    assert!(
        text.contains("WARN") && text.contains("refused status=500"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn filter_selects_the_logged_events() {
    let text = Lines::logged(LogFormat::Text, "warn,wahook_runtime=debug", || {
        tracing::debug!("ours");
        tracing::info!(target: "lapin", "theirs");
    });
    assert!(text.contains("ours") && !text.contains("theirs"), "{text}");
}

#[test]
fn panic_is_logged_with_its_location() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(log_panic));
    let text = Lines::logged(LogFormat::Json, "info", || {
        let ended = panic::catch_unwind(|| panic!("on purpose: {}", 7));
        assert!(ended.is_err());
    });
    panic::set_hook(before);
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&line["level"], &line["panic"]),
        (&"ERROR".into(), &"on purpose: 7".into())
    );
    assert!(line["location"].as_str().unwrap().contains("tests.rs:"));
}

#[test]
fn format_and_filter_come_from_the_settings() {
    let pairs = [
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", "warn,wahook_queue=debug"),
    ];
    let mut settings = Settings::from_pairs(pairs);
    let (format, filter) = read(&mut settings).unwrap();
    assert_eq!(format, LogFormat::Json);
    assert_eq!(filter.to_string(), "wahook_queue=debug,warn");
    assert!(settings.finish().is_ok());

    let mut settings = Settings::from_pairs([("", "")]);
    let (format, filter) = read(&mut settings).unwrap();
    assert_eq!(
        (format, filter.to_string().as_str()),
        (LogFormat::Text, "lapin=off,info")
    );

    let mut settings = Settings::from_pairs([("LOG_FORMAT", "xml"), ("RUST_LOG", "wahook=loud")]);
    let _ = read(&mut settings);
    assert_eq!(settings.finish().unwrap_err().iter().count(), 2);
}
