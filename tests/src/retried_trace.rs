//! Check of the trace of an event that failed twice before it was delivered.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::collector::{CLIENT, CONSUMER, PRODUCER, SERVER, Span};
use crate::receiver::{Answer, Post, Receiver};

/// Spans of such an event: accept, publish, and two for each of three attempts.
pub const SPANS: usize = 8;

/// Starts a receiver that refuses the first two attempts of each event.
pub async fn receiver() -> Receiver {
    let answer = |post: &Post| match post.attempt() {
        Some(1) => 500,
        Some(2) => 503,
        _ => 200,
    };
    Receiver::answering(move |post| Answer::status(answer(post))).await
}

/// What the trace must show besides the spans.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Trace and span of the sender, if it sent one.
    pub sender: Option<(&'a str, &'a str)>,
    /// Names of the services that accept and that deliver.
    pub services: (&'a str, &'a str),
    pub system: &'a str,
    /// Id of the event.
    pub id: &'a str,
    /// Requests that the webhook received.
    pub posts: &'a [Arc<Post>],
}

/// Fails the test unless the spans are one trace of such an event.
#[track_caller]
pub fn assert_is_one(spans: &[Span], expected: Expected<'_>) {
    assert_eq!(spans.len(), SPANS, "{spans:#?}");
    let traces: BTreeSet<_> = spans.iter().map(|span| span.trace.as_str()).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    let accept = only(spans, SERVER);
    assert_eq!(accept.name, "POST /v1/events");
    assert_eq!(accept.service, expected.services.0);
    assert_eq!(accept.attribute("http.response.status_code"), Some("202"));
    let (trace, parent) = expected.sender.unwrap_or((accept.trace.as_str(), ""));
    assert_eq!(
        (accept.trace.as_str(), accept.parent.as_str()),
        (trace, parent)
    );
    let publish = only(spans, PRODUCER);
    assert_eq!(publish.parent, accept.id);
    assert_eq!(publish.name, "publish wahook.known");
    let processes: Vec<_> = of_kind(spans, CONSUMER).collect();
    assert_eq!(processes.len(), 3);
    for span in processes.iter().chain([&publish]) {
        assert_eq!(span.attribute("messaging.system"), Some(expected.system));
        assert_eq!(span.attribute("messaging.message.id"), Some(expected.id));
    }
    for process in &processes {
        assert_eq!(process.parent, publish.id);
        assert_eq!(process.service, expected.services.1);
        let queue = process.attribute("messaging.destination.name");
        assert_eq!(queue, Some("wahook.deliver.default"));
    }
    assert_are_attempts(spans, &processes, expected.posts);
}

#[track_caller]
fn assert_are_attempts(spans: &[Span], processes: &[&Span], posts: &[Arc<Post>]) {
    let mut attempts: Vec<_> = of_kind(spans, CLIENT).collect();
    attempts.sort_by_key(|attempt| attempt.attribute("wahook.attempt"));
    let shown: Vec<_> = attempts
        .iter()
        .map(|attempt| {
            let names = [
                "http.response.status_code",
                "http.request.resend_count",
                "error.type",
            ];
            (names.map(|name| attempt.attribute(name)), attempt.is_error)
        })
        .collect();
    let right = [
        ([Some("500"), None, Some("500")], true),
        ([Some("503"), Some("1"), Some("503")], true),
        ([Some("200"), Some("2"), None], false),
    ];
    assert_eq!(shown, right);
    let of_attempts: BTreeSet<_> = attempts.iter().map(|span| span.parent.as_str()).collect();
    let of_processes: BTreeSet<_> = processes.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(of_attempts, of_processes);
    let mut last = Vec::new();
    for (attempt, post) in attempts.iter().zip(posts) {
        assert_eq!(attempt.links, last, "the attempt before it");
        let sent = format!("00-{}-{}-01", attempt.trace, attempt.id);
        assert_eq!(post.header("traceparent"), Some(sent.as_str()));
        assert_eq!(attempt.attribute("server.address"), Some("127.0.0.1"));
        let url = attempt.attribute("url.full").unwrap_or_default();
        assert!(
            url.ends_with("/webhook") && !url.contains("secret"),
            "{url}"
        );
        last = vec![(attempt.trace.clone(), attempt.id.clone())];
    }
    assert_eq!(posts.len(), attempts.len());
}

fn of_kind(spans: &[Span], kind: i32) -> impl Iterator<Item = &Span> {
    spans.iter().filter(move |span| span.kind == kind)
}

#[track_caller]
fn only(spans: &[Span], kind: i32) -> &Span {
    let found: Vec<_> = of_kind(spans, kind).collect();
    let [one] = found.as_slice() else {
        return crate::or_fail(kind, Err(anyhow::anyhow!("not one span: {found:#?}")));
    };
    one
}
