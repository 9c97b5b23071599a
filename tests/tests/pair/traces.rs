//! Traces of events across the broker.

use wahook_tests::collector::Collector;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::retried_trace::{self, Expected, SPANS};

use crate::world::{Test, Tests};

const SENDER: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "an_event_that_fails_twice_is_one_trace_from_its_request_to_its_delivery",
        |test| traced(test, None),
    );
    tests.add(
        "the_trace_of_a_sender_goes_on_to_the_webhook_with_the_attempts_linked",
        |test| traced(test, Some(SENDER)),
    );
}

async fn traced(test: Test, sender: Option<(&'static str, &'static str)>) {
    let collector = Collector::start().await;
    let traces = collector.settings();
    let mut settings = vec![("WEBHOOK_RETRY_DELAY", "100")];
    settings.extend(traces.iter().map(|(name, value)| (*name, value.as_str())));
    let pair = test.pair(retried_trace::receiver().await, &settings).await;
    let parent = sender.map(|(trace, span)| format!("00-{trace}-{span}-01"));
    let headers: Vec<_> = parent
        .iter()
        .flat_map(|parent| [("traceparent", parent.as_str()), ("tracestate", "congo=1")])
        .collect();
    let answer = pair.post_with(&headers, "{\"event\":\"call\"}").await;
    let id = answer.accepted_id();
    let posts = pair.receiver.wait_for(3, AT_LAST).await;
    let spans = collector.wait_for(SPANS, AT_LAST).await;
    let expected = Expected {
        sender,
        services: ("wahook-producer", "wahook-consumer"),
        system: "rabbitmq",
        id: &id,
        posts: &posts,
    };
    retried_trace::assert_is_one(&spans, expected);
    for post in posts.iter().filter(|_| sender.is_some()) {
        let state = post.header("tracestate").unwrap_or_default();
        assert!(state.ends_with("congo=1"), "{state}");
    }
}
