//! Checks of the streams of ended deliveries.

use std::time::Duration;
use wahook_tests::eventually::AT_LAST;

use tokio::time::timeout;
use wahook_delivery_log::{Ended, EndedFilter};
use wahook_domain::{AttemptResult, DeliveryRecord, EventName, UnixMillis};
use wahook_runtime::clock;

use crate::another_event_checks::of_another_event;
use crate::checks::{delivered, exhausted, failed, write};
use crate::logs::Readable;
use crate::read_checks::at_crm;

/// Moves an attempt from 2024 to the present: the event was queued at `queued`, and the
/// attempt ends at `ended`.
fn moved(mut result: AttemptResult, queued: UnixMillis, ended: UnixMillis) -> AttemptResult {
    result.accepted_at = queued;
    let attempt = &mut result.attempt;
    attempt.queued_at = queued;
    attempt.started_at = ended;
    attempt.duration_ms = 0;
    attempt.next_attempt_at = attempt
        .next_attempt_at
        .map(|_| ended.plus(Duration::from_secs(6)));
    result
}

/// Expected end of a delivery with a single relevant result.
fn end_of(result: &AttemptResult) -> Ended {
    let (record, attempt) = (DeliveryRecord::first(result), &result.attempt);
    Ended {
        event_id: record.event_id.to_string(),
        event: record.event.to_string(),
        endpoint: record.endpoint.to_string(),
        webhook_url: attempt.webhook_url.to_string(),
        delivered: attempt.is_success(),
        status_code: attempt.status_code.map(Into::into),
        retry_count: record.retry_count().try_into().unwrap(),
        error: attempt.error.clone(),
        accepted_at: result.accepted_at,
        ended_at: attempt.ended_at(),
        other_event: false,
    }
}

pub(crate) async fn ended_deliveries_are_followed_once_each(at: &impl Readable) {
    let queued = clock::now().minus(Duration::from_secs(10));
    let earlier = queued.plus(Duration::from_secs(1));
    // Ends of one record in the same millisecond are one end, and the clock can step back.
    let end = |number: u64| clock::now().plus(Duration::from_secs(10 * number));
    let ends_at = |number, result| moved(result, queued, end(number));
    write(at, &[moved(delivered("earlier", 1), queued, earlier)]).await;
    let filter = EndedFilter::default();
    let mut from_now = at.reader().follow(None, &filter).await.unwrap();
    let first = [ends_at(1, failed("e1", 1)), ends_at(1, delivered("e2", 1))];
    write(at, &first).await;
    let next = timeout(AT_LAST, from_now.next()).await.unwrap();
    assert_eq!(next.unwrap(), end_of(&first[1]));
    // A repeated result is not another end, but a redriven delivery ends again.
    write(at, &first[1..]).await;
    let failure = ends_at(2, exhausted("e1", 2));
    write(at, std::slice::from_ref(&failure)).await;
    let next = timeout(AT_LAST, from_now.next()).await.unwrap();
    assert_eq!(next.unwrap(), end_of(&failure));
    let again = end(3);
    let mut redriven = moved(exhausted("e1", 1), again, again);
    redriven.accepted_at = queued;
    write(at, std::slice::from_ref(&redriven)).await;
    let next = timeout(AT_LAST, from_now.next()).await.unwrap();
    assert_eq!(next.unwrap(), end_of(&redriven));

    let since = Some(earlier);
    let mut since = at.reader().follow(since, &filter).await.unwrap();
    let next = timeout(AT_LAST, since.next()).await.unwrap().unwrap();
    assert_eq!(next.event_id, "earlier");
}

pub(crate) async fn an_ended_delivery_of_two_events_says_so(at: &impl Readable) {
    let queued = clock::now().minus(Duration::from_secs(10));
    let filter = EndedFilter::default();
    let mut ends = at.reader().follow(None, &filter).await.unwrap();
    let first = moved(delivered("e1", 1), queued, clock::now());
    write(at, std::slice::from_ref(&first)).await;
    let next = timeout(AT_LAST, ends.next()).await.unwrap();
    assert_eq!(next.unwrap(), end_of(&first));
    let now = clock::now().plus(Duration::from_secs(1));
    let other = moved(of_another_event(delivered("e1", 1)), now, now);
    write(at, std::slice::from_ref(&other)).await;
    let next = timeout(AT_LAST, ends.next()).await.unwrap();
    let expected = Ended {
        accepted_at: queued,
        other_event: true,
        ..end_of(&other)
    };
    assert_eq!(next.unwrap(), expected);
}

pub(crate) async fn a_filter_selects_the_ended_deliveries(at: &impl Readable) {
    let before = clock::now();
    let ends_now = |result| moved(result, before, clock::now());
    let mut call = ends_now(delivered("e1", 1));
    call.event = EventName::parse("call").unwrap();
    let results = [
        call,
        ends_now(exhausted("e2", 1)),
        ends_now(delivered("e3", 1)),
        ends_now(at_crm(delivered("e4", 1))),
    ];
    write(at, &results).await;
    let filter = |events: &[&str], endpoints: &[&str], delivered| EndedFilter {
        events: events.iter().copied().map(str::to_owned).collect(),
        endpoints: endpoints.iter().copied().map(str::to_owned).collect(),
        delivered,
    };
    let filters = [
        ("e1", filter(&["call"], &[], None)),
        ("e2", filter(&[], &[], Some(false))),
        ("e4", filter(&[], &["crm"], None)),
        ("e3", filter(&["message_create"], &["default"], Some(true))),
    ];
    for (id, filter) in filters {
        let mut following = at.reader().follow(Some(before), &filter).await.unwrap();
        let next = timeout(AT_LAST, following.next()).await.unwrap().unwrap();
        assert_eq!(next.event_id, id, "{filter:?}");
    }
}
