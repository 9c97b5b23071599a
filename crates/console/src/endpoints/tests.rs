use super::*;
use serde_json::json;
use wahook_operator_state::Pause;
use wahook_queue::EndpointQueue;

const NOW: UnixMillis = UnixMillis::new(63_000);

fn name(text: &str) -> EndpointName {
    EndpointName::parse(text).unwrap()
}

fn figures() -> Figures {
    let recent = RecentEndpoint {
        endpoint: name("crm"),
        webhook_url: "https://example.com/".to_owned(),
        p50_ms: 12,
        p95_ms: 80,
    };
    let outcomes = Outcomes {
        success: 3,
        failed: 1,
        retrying: 2,
    };
    let summary = Summary {
        by_endpoint: [("crm".to_owned(), outcomes)].into(),
        ..Summary::default()
    };
    let pause = Pause {
        by: "ann".to_owned(),
        since: UnixMillis::new(0),
        reason: None,
    };
    let paused = EndpointState {
        pause: Some(pause),
        ..EndpointState::initial(name("shop"))
    };
    let circuit = |name: &str| CircuitPause {
        endpoint: self::name(name),
        since: NOW,
        next_probe: NOW,
        reason: "answered 500".to_owned(),
    };
    let circuits = vec![circuit("shop"), circuit("crm")];
    Figures::new(vec![recent], Some(summary), (vec![paused], circuits))
}

#[test]
fn endpoints_of_log_queues_and_orders_are_listed() {
    let queue = EndpointQueue {
        queued: 5,
        waiting: Some(2),
        oldest: Some(UnixMillis::new(3_000)),
        is_ordered: true,
        ..EndpointQueue::default()
    };
    let list = figures().list(Some([(name("new"), queue)].into()), NOW);
    let names: Vec<_> = list.iter().map(|shape| shape.name.as_str()).collect();
    assert_eq!(names, ["crm", "new", "shop"]);
    assert_eq!(list[0].success_rate, Some(0.75));
    assert_eq!((list[0].p95_ms, list[0].queued), (Some(80), Some(0)));
    assert_eq!((list[1].success_rate, list[1].queued), (None, Some(7)));
    let ordered: Vec<_> = list.iter().map(|shape| shape.ordered).collect();
    assert_eq!(ordered, [Some(false), Some(true), Some(false)]);
    let waits: Vec<_> = list.iter().map(|shape| shape.oldest_wait_seconds).collect();
    assert_eq!(waits, [None, Some(60), None]);
    // An operator's pause counts more than that of a circuit breaker.
    let paused = list.iter().map(|shape| json!(shape.paused)["by"].clone());
    let paused: Vec<_> = paused.collect();
    assert_eq!(paused, [json!("circuit"), json!(null), json!("operator")]);
}

#[test]
fn numbers_are_null_if_the_log_has_not_answered() {
    let unanswered = Figures {
        summary: None,
        ..figures()
    };
    let list = unanswered.list(None, NOW);
    assert_eq!((list[0].success, list[0].success_rate), (None, None));
    assert_eq!(figures().list(None, NOW)[0].success, Some(3));
}

#[test]
fn depth_is_unknown_without_the_broker() {
    let list = figures().list(None, NOW);
    assert!(list.iter().all(|shape| shape.queued.is_none()));
}
