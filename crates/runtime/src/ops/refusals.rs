//! Log and count of refused requests.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_LENGTH},
    response::Response,
};
use prometheus::IntCounterVec;
use wahook_domain::log_limit::LogLimit;

/// Time between two lines about the same reason.
const WINDOW: Duration = Duration::from_secs(60);
/// Interval of the check for due counts.
const CHECK: Duration = Duration::from_secs(5);
/// Limit of a logged path, in bytes.
const PATH_BYTES: usize = 200;
/// Longest segment of a logged path, in bytes: tokens have at least 16.
const LONGEST_SEGMENT: usize = 15;

/// Cause of a refusal, as an extension of its response.
#[derive(Debug, Clone)]
pub struct Refusal {
    reason: &'static str,
    event: Option<String>,
}

/// Log and count of the requests that a server refuses: responses with a [`Refusal`], and
/// all others with a status of 4xx. The first one of a reason is logged at once, further
/// ones as a count per minute.
#[derive(Debug)]
pub struct RefusalLog {
    counts: IntCounterVec,
    started: Instant,
    limit: Mutex<LogLimit<&'static str>>,
}

/// Request, as far as the log shows it.
pub(super) struct Asked {
    pub(super) peer: SocketAddr,
    method: Method,
    uri: Uri,
    bytes: Option<u64>,
}

impl Refusal {
    /// Creates a refusal. `reason` is a label, so it is one of few values.
    #[must_use]
    pub const fn new(reason: &'static str) -> Self {
        let event = None;
        Self { reason, event }
    }

    /// Adds the name of the refused event.
    #[must_use]
    pub fn with_event(self, event: Option<String>) -> Self {
        Self { event, ..self }
    }

    /// Returns the cause of a response without an extension.
    fn of_status(status: StatusCode) -> Self {
        Self::new(match status {
            StatusCode::FORBIDDEN => "foreign_page",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            _ => "other",
        })
    }
}

impl RefusalLog {
    /// Reasons of this crate, in addition to those of [`Refusal::new`].
    pub const REASONS: [&'static str; 7] = [
        "foreign_page",
        "malformed",
        "method_not_allowed",
        "not_found",
        "not_http",
        "other",
        "too_slow",
    ];

    /// Creates a log that counts in a family with the label `reason`.
    #[must_use]
    pub fn new(counts: IntCounterVec) -> Arc<Self> {
        Arc::new(Self {
            counts,
            started: Instant::now(),
            limit: Mutex::new(LogLimit::new(WINDOW)),
        })
    }

    /// Logs the counts when they are due. Never returns.
    pub async fn report(&self) {
        let mut checks = tokio::time::interval(CHECK);
        loop {
            checks.tick().await;
            self.log_counts(self.started.elapsed());
        }
    }

    /// Logs all counts, at the end of the program.
    pub fn flush(&self) {
        self.log_counts(Duration::MAX);
    }

    /// Counts and logs the response if it is a refusal.
    pub(super) fn note(&self, asked: &Asked, response: &Response) {
        let status = response.status();
        let refusal = response.extensions().get::<Refusal>().cloned();
        let by_status = || status.is_client_error().then(|| Refusal::of_status(status));
        let Some(refusal) = refusal.or_else(by_status) else {
            return;
        };
        if self.count(refusal.reason) {
            let path = shown_path(asked.uri.path());
            tracing::warn!(
                reason = refusal.reason,
                status = status.as_u16(),
                method = asked.method.as_str(),
                path = path.get(..PATH_BYTES).unwrap_or(&path),
                peer = %asked.peer,
                event = refusal.event,
                bytes = asked.bytes,
                "request refused; further ones are logged as a count per minute"
            );
        }
    }

    /// Counts and logs a refusal whose request is unknown.
    pub(super) fn note_unread(&self, peer: SocketAddr, reason: &'static str) {
        if self.count(reason) {
            tracing::warn!(
                reason,
                %peer,
                "request refused before its headers were read; further ones are logged as a count per minute"
            );
        }
    }

    /// Returns true if a line is to be logged.
    fn count(&self, reason: &'static str) -> bool {
        self.counts.with_label_values(&[reason]).inc();
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        limit.note(reason, self.started.elapsed())
    }

    fn log_counts(&self, now: Duration) {
        let due = {
            let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
            limit.due(now)
        };
        for (reason, count) in due {
            tracing::warn!(reason, count, "more requests refused for the same reason");
        }
    }
}

/// Returns a path without segments that may be a token: long ones, and all after the third, which
/// is the name of a source.
fn shown_path(path: &str) -> String {
    let shown = path.split('/').enumerate().map(|(place, segment)| {
        let may_be_token = segment.len() > LONGEST_SEGMENT || (place > 3 && !segment.is_empty());
        if may_be_token { "…" } else { segment }
    });
    shown.collect::<Vec<_>>().join("/")
}

impl Asked {
    pub(super) fn new(peer: SocketAddr, method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let length = headers.get(CONTENT_LENGTH);
        Self {
            peer,
            method: method.clone(),
            uri: uri.clone(),
            bytes: length.and_then(|length| length.to_str().ok()?.parse().ok()),
        }
    }
}
