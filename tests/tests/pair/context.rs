//! Context of a trace: from the request of a gateway over retries to the webhook.

use std::sync::Arc;

use reqwest::StatusCode;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::world::{Test, Tests};

const TRACE: (&str, &str) = (
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
);
const STATE: (&str, &str) = ("tracestate", "congo=t61rcWkgMzE");
const BAGGAGE: (&str, &str) = ("baggage", "user=alice");

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "the_context_of_a_request_is_handed_on_with_each_attempt_of_its_events",
        handed_on,
    );
    tests.add(
        "a_malformed_context_is_dropped_and_the_event_delivered",
        malformed,
    );
}

fn shown(post: &Post) -> [Option<&str>; 3] {
    [TRACE, STATE, BAGGAGE].map(|(name, _)| post.header(name))
}

fn assert_all_have(posts: &[Arc<Post>]) {
    let all = [TRACE, STATE, BAGGAGE].map(|(_, value)| Some(value));
    for post in posts {
        assert_eq!(shown(post), all);
    }
}

async fn handed_on(test: Test) {
    let receiver = Receiver::answering(|post| {
        Answer::status(if post.attempt() == Some(1) { 500 } else { 200 })
    });
    let settings = [("WEBHOOK_RETRY_DELAY", "100")];
    let pair = test.pair(receiver.await, &settings).await;
    let headers = [TRACE, STATE, BAGGAGE];
    let answer = pair.post_with(&headers, "{\"event\":\"call\"}").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let batch = [
        ("content-type", "application/x-ndjson"),
        TRACE,
        STATE,
        BAGGAGE,
    ];
    let lines = "{\"event\":\"call\"}\n{\"event\":\"ready\"}\n";
    let answer = pair.post_with(&batch, lines).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_all_have(&pair.receiver.wait_for(6, AT_LAST).await);
}

async fn malformed(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let invalid = ("traceparent", "00-0-0-01");
    let unquoted = ("baggage", "user=\"alice\"");
    for headers in [
        [invalid, STATE, unquoted],
        [STATE, unquoted, ("tracestate", "b=2")],
    ] {
        let answer = pair.post_with(&headers, "{\"event\":\"call\"}").await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
    }
    for post in pair.receiver.wait_for(2, AT_LAST).await {
        assert_eq!(shown(&post), [None; 3]);
    }
}
