//! Checks of numbers and durations of deliveries.

use std::sync::Arc;

use wahook_delivery_log::{Outcomes, RecentEndpoint};
use wahook_domain::{AttemptResult, EndpointName};

use crate::checks::{NOON, delivered, exhausted, failed, write};
use crate::logs::Readable;
use crate::read_checks::{accepted, at_crm};
use crate::search_checks::{about_message, time};

pub(crate) async fn a_summary_counts_by_hour_event_and_endpoint(at: &impl Readable) {
    const HOUR: i64 = 3_600_000;
    let results = [
        accepted(delivered("early", 1), -1),
        delivered("e1", 1),
        at_crm(exhausted("e2", 1)),
        accepted(failed("e3", 1), HOUR),
        accepted(about_message(delivered("e4", 1)), 2 * HOUR),
        accepted(delivered("late", 1), 2 * HOUR + 1),
    ];
    write(at, &results).await;
    at.insert_foreign("a-document-of-the-user", NOON).await;
    let summary = at.search().summary(time(0), time(2 * HOUR + 1));
    let summary = summary.await.unwrap();
    let outcomes = |success, failed, retrying| Outcomes {
        success,
        failed,
        retrying,
    };
    let hours = [outcomes(1, 1, 0), outcomes(0, 0, 1), outcomes(1, 0, 0)];
    let starts = [time(0), time(HOUR), time(2 * HOUR)];
    let expected: Vec<_> = starts.into_iter().zip(hours).collect();
    assert_eq!(summary.hours, expected);
    assert_eq!(summary.total, outcomes(2, 1, 1));
    assert_eq!(summary.by_endpoint["crm"], outcomes(0, 1, 0));
    assert_eq!(summary.by_endpoint["default"], outcomes(2, 0, 1));
    assert_eq!(summary.by_event["message_ack"], outcomes(1, 0, 0));
    assert_eq!(summary.by_event["message_create"], outcomes(1, 1, 1));
    assert_eq!(summary.by_event.len(), 2);
}

pub(crate) async fn recent_endpoints_have_the_durations_of_their_attempts(at: &impl Readable) {
    let took = |mut result: AttemptResult, duration_ms| {
        result.attempt.duration_ms = duration_ms;
        result
    };
    let mut moved = took(at_crm(accepted(delivered("new", 1), 9)), 70);
    moved.attempt.webhook_url = Arc::from("https://crm.test/");
    let mut results = vec![took(at_crm(delivered("old", 1)), 90), moved];
    results.extend((1..=100).map(|n| took(delivered(&format!("e{n}"), 1), n)));
    write(at, &results).await;
    at.insert_foreign("a-document-of-the-user", NOON + 10).await;
    let recent = |name: &str, url: &str, p50_ms, p95_ms| RecentEndpoint {
        endpoint: EndpointName::parse(name).unwrap(),
        webhook_url: url.to_owned(),
        p50_ms,
        p95_ms,
    };
    let expected = [
        recent("crm", "https://crm.test/", 70, 90),
        recent("default", "https://example.test/hook", 50, 95),
    ];
    assert_eq!(at.search().recent().await.unwrap(), expected);
}
