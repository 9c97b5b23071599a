//! Checks of searches.

use std::collections::BTreeSet;
use std::sync::Arc;

use wahook_delivery_log::{Cursor, Page, SearchFilter};
use wahook_domain::{
    AttemptResult, EndpointName, EventBody, EventId, EventName, Origin, SourceName, Status,
    UnixMillis,
};

use crate::checks::{NOON, delivered, exhausted, failed, write};
use crate::logs::Readable;
use crate::read_checks::{accepted, at_crm};

const CHAT: &str = "4915112345678@c.us";
const MESSAGE: &str = "false_4915112345678@c.us_3EB0A1";

fn filter(set: impl FnOnce(&mut SearchFilter)) -> SearchFilter {
    let mut filter = SearchFilter::default();
    set(&mut filter);
    filter
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(crate) fn time(after: i64) -> UnixMillis {
    UnixMillis::new(NOON + after)
}

fn from_gateway(mut result: AttemptResult, session: &str, chat: &str) -> AttemptResult {
    result.origin = Some(Arc::new(Origin {
        source: SourceName::parse("shop").unwrap(),
        session: Some(session.to_owned()),
        chat: Some(chat.to_owned()),
        message_id: Some(format!("{chat}/1")),
        received: None,
    }));
    result
}

/// Returns a result of a documented event, whose data names chat and message.
pub(crate) fn about_message(mut result: AttemptResult) -> AttemptResult {
    let body = format!(
        r#"{{"event":"message_ack","data":{{"id":{{"_serialized":"{MESSAGE}"}},"ack":3}},"timestamp":"t"}}"#
    );
    result.event = EventName::parse("message_ack").unwrap();
    result.body = EventBody::check(body.into()).unwrap();
    result
}

/// Returns the keys of a page, in order.
fn keys(page: &Page) -> Vec<String> {
    let positions = page.deliveries.iter().map(|found| found.position());
    positions.map(|position| position.key).collect()
}

async fn search(at: &impl Readable, filter: &SearchFilter) -> Vec<String> {
    let page = at.search().search(filter, None, 100).await.unwrap();
    assert_eq!(page.next, None);
    keys(&page)
}

pub(crate) async fn a_search_returns_the_deliveries_that_match_newest_first(at: &impl Readable) {
    let mut unreachable = accepted(exhausted("e5", 1), 50);
    unreachable.attempt.status_code = None;
    unreachable.attempt.error = some("no answer (in 30 s)");
    let results = [
        accepted(delivered("e1", 1), 10),
        accepted(failed("e2", 1), 20),
        accepted(from_gateway(delivered("e3", 1), "s1", "1@c.us"), 30),
        accepted(at_crm(exhausted("e4", 1)), 40),
        unreachable,
        accepted(from_gateway(failed("e6", 1), "s2", "2@c.us"), 60),
        accepted(about_message(delivered("e7", 1)), 70),
        at_crm(accepted(about_message(exhausted("e7", 1)), 70)),
    ];
    write(at, &results).await;
    at.insert_foreign("a-document-of-the-user", NOON + 45).await;
    let all = [
        "e7/default",
        "e7/crm",
        "e6/default",
        "e5/default",
        "e4/crm",
        "e3/default",
        "e2/default",
        "e1/default",
    ];
    assert_eq!(search(at, &SearchFilter::default()).await, all);
    let cases = [
        (filter(|f| f.status = Some(Status::Failed)), &[1, 3, 4][..]),
        (filter(|f| f.status = Some(Status::Retrying)), &[2, 6]),
        (filter(|f| f.status = Some(Status::Success)), &[0, 5, 7]),
        (filter(|f| f.event = some("message_ack")), &[0, 1]),
        (filter(|f| f.endpoint = some("crm")), &[1, 4]),
        (filter(|f| f.source = some("shop")), &[2, 5]),
        (filter(|f| f.session = some("s1")), &[5]),
        (filter(|f| f.chat = some("2@c.us")), &[2]),
        (filter(|f| f.chat = some(CHAT)), &[0, 1]),
        (filter(|f| f.message_id = some(MESSAGE)), &[0, 1]),
        (filter(|f| f.message_id = some("1@c.us/1")), &[5]),
        (filter(|f| f.event_id = some("e7")), &[0, 1]),
        (filter(|f| f.event_id = some("e")), &[]),
        (filter(|f| f.status_code = Some(500)), &[1, 2, 4, 6]),
        (filter(|f| f.error = some("(in 30")), &[3]),
        (filter(|f| f.error = some("answered")), &[1, 2, 4, 6]),
        (filter(|f| f.error = some("Answered")), &[]),
        (
            filter(|f| (f.since, f.until) = (Some(time(20)), Some(time(50)))),
            &[4, 5, 6],
        ),
        (
            filter(|f| {
                (f.chat, f.status, f.endpoint) = (some(CHAT), Some(Status::Failed), some("crm"));
            }),
            &[1],
        ),
        (
            filter(|f| (f.event_id, f.status) = (some("e7"), Some(Status::Success))),
            &[0],
        ),
    ];
    for (filter, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|place| all[*place]).collect();
        assert_eq!(search(at, &filter).await, expected, "{filter:?}");
    }
}

pub(crate) async fn pages_return_each_delivery_once_while_others_arrive(at: &impl Readable) {
    // Several of each millisecond, which cross the ends of pages.
    let results = (0..60).map(|n| accepted(failed(&format!("e{n:02}"), 1), n / 9));
    write(at, &results.collect::<Vec<_>>()).await;
    let filter = filter(|f| (f.status, f.until) = (Some(Status::Retrying), Some(time(1_000))));
    let all: Vec<_> = search(at, &filter).await;
    assert_eq!(all.len(), 60);
    let (mut read, mut cursor): (Vec<String>, Option<Cursor>) = (Vec::new(), None);
    for round in 0..30 {
        let page = at
            .search()
            .search(&filter, cursor.as_ref(), 7)
            .await
            .unwrap();
        read.extend(keys(&page));
        let new = accepted(failed(&format!("n{round}"), 1), 500 + round);
        write(at, &[new]).await;
        cursor = page.next;
        // The text of a cursor is what clients send.
        cursor = cursor.map(|cursor| cursor.to_string().parse().unwrap());
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(read, all);
    assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), 60);
    let exactly = at.search().search(&SearchFilter::default(), None, 69).await;
    assert_eq!(exactly.unwrap().next, None);
}

pub(crate) async fn a_delivery_has_its_payload_and_attempts(at: &impl Readable) {
    let results = [failed("e1", 1), exhausted("e1", 2)];
    write(at, &results.clone().map(about_message)).await;
    let found = search(at, &SearchFilter::default()).await;
    assert_eq!(found, ["e1/default"]);
    let id = EventId::parse("e1").unwrap();
    let logged = at.search().delivery(&id, &EndpointName::default()).await;
    let logged = logged.unwrap().unwrap();
    let attempts: Vec<_> = results.map(|result| result.attempt).into();
    assert_eq!(logged.attempts, attempts);
    let payload = format!(r#"{{"id":{{"_serialized":"{MESSAGE}"}},"ack":3}}"#);
    assert_eq!(logged.payload, Some(payload));
    assert_eq!(
        (logged.timestamp.as_str(), logged.payload_altered),
        ("t", vec![])
    );
    let found = &logged.found;
    assert_eq!(
        (found.status, found.status_code),
        (Status::Failed, Some(500))
    );
    assert_eq!((found.attempt_count, found.retry_count), (2, 1));
    assert_eq!(found.error_message.as_deref(), Some("answered 500"));
    assert_eq!(found.last_retry_at, Some(time(10_000)));
    assert_eq!(found.completed_at, Some(time(10_012)));
    assert_eq!(
        (found.updated_at, found.next_attempt_at),
        (time(10_012), None)
    );
    assert_eq!(found.webhook_url, "https://example.test/hook");
    assert_eq!(
        (found.event.as_str(), found.created_at),
        ("message_ack", time(0))
    );
    assert_eq!(
        (found.source.as_deref(), found.session.as_deref()),
        (None, None)
    );
    assert_eq!(found.chat.as_deref(), Some(CHAT));
    assert_eq!(found.message_id.as_deref(), Some(MESSAGE));
    let page = at.search().search(&SearchFilter::default(), None, 1).await;
    assert_eq!(page.unwrap().deliveries, *std::slice::from_ref(found));
    let other = EndpointName::parse("crm").unwrap();
    assert_eq!(at.search().delivery(&id, &other).await.unwrap(), None);
}
