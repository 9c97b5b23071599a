use super::*;
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
    Figures::new(vec![recent], Some(summary), vec![paused])
}

#[test]
fn endpoints_of_log_queues_and_orders_are_listed() {
    let queue = EndpointQueue {
        queued: 5,
        waiting: Some(2),
        oldest: Some(UnixMillis::new(3_000)),
        ..EndpointQueue::default()
    };
    let list = figures().list(Some([(name("new"), queue)].into()), NOW);
    let names: Vec<_> = list.iter().map(|shape| shape.name.as_str()).collect();
    assert_eq!(names, ["crm", "new", "shop"]);
    assert_eq!(list[0].success_rate, Some(0.75));
    assert_eq!((list[0].p95_ms, list[0].queued), (Some(80), Some(0)));
    assert_eq!((list[1].success_rate, list[1].queued), (None, Some(7)));
    let waits: Vec<_> = list.iter().map(|shape| shape.oldest_wait_seconds).collect();
    assert_eq!(waits, [None, Some(60), None]);
    assert!(list[2].paused.is_some() && list[0].paused.is_none());
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
