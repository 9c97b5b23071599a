//! Checks of surveys, counts and the lifetime.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wahook_delivery_log::{CountBy, Counts, LogUnavailable, Surveyed};
use wahook_domain::{
    AttemptResult, DeliveryRecord, EndpointName, EventId, EventName, Status, UnixMillis,
};

use crate::checks::{NOON, delivered, exhausted, failed, redriven, write};
use crate::logs::Readable;

const FOREIGN: &str = "a-document-of-the-user";

pub(crate) fn accepted(mut result: AttemptResult, after: i64) -> AttemptResult {
    result.accepted_at = UnixMillis::new(NOON + after);
    result
}

pub(crate) fn at_crm(mut result: AttemptResult) -> AttemptResult {
    result.endpoint = EndpointName::parse("crm").unwrap();
    result
}

/// Returns what a survey shows of a delivery with these results.
fn surveyed(results: &[AttemptResult]) -> Surveyed {
    let mut record = DeliveryRecord::first(&results[0]);
    results.iter().for_each(|result| record.merge(result));
    if record.status() == Status::Success {
        return Surveyed::Delivered(record.event_id, record.endpoint);
    }
    record.attempts = record.attempts.split_off(record.attempts.len() - 1);
    Surveyed::Open(record)
}

/// Sorts by key; foreign records first.
fn sorted(mut found: Vec<Surveyed>) -> Vec<Surveyed> {
    found.sort_by_key(|surveyed| match surveyed {
        Surveyed::Delivered(id, endpoint) => Some((id.clone(), endpoint.clone())),
        Surveyed::Open(record) => Some((record.event_id.clone(), record.endpoint.clone())),
        Surveyed::Foreign => None,
    });
    found
}

async fn survey(
    at: &impl Readable,
    since: i64,
    until: i64,
) -> Result<Vec<Surveyed>, LogUnavailable> {
    let (since, until) = (UnixMillis::new(NOON + since), UnixMillis::new(NOON + until));
    let mut survey = at.reader().survey(since, until).await?;
    let mut found = Vec::new();
    while let Some(surveyed) = survey.next().await? {
        found.push(surveyed);
    }
    Ok(sorted(found))
}

pub(crate) async fn a_survey_returns_the_state_of_every_record_of_its_window(at: &impl Readable) {
    let of_each = [
        vec![delivered("e1", 1)],
        vec![failed("e2", 1), failed("e2", 2)],
        vec![failed("e3", 1), exhausted("e3", 2)],
        vec![
            failed("e4", 1),
            exhausted("e4", 2),
            redriven(failed("e4", 1)),
        ],
        vec![failed("e5", 1), delivered("e5", 2), failed("e5", 3)],
        vec![at_crm(exhausted("e5", 1))],
    ];
    write(at, &of_each.concat()).await;
    at.insert_foreign(FOREIGN, NOON).await;
    let edges = [
        accepted(delivered("early", 1), -1),
        accepted(delivered("late", 1), 1_000),
    ];
    write(at, &edges).await;
    let mut expected = vec![Surveyed::Foreign];
    expected.extend(of_each.iter().map(|results| surveyed(results)));
    assert_eq!(survey(at, 0, 1_000).await.unwrap(), sorted(expected));
    assert_eq!(survey(at, -1, 0).await.unwrap(), [surveyed(&edges[..1])]);
    assert_eq!(
        survey(at, 1_000, 2_000).await.unwrap(),
        [surveyed(&edges[1..])]
    );
    assert_eq!(survey(at, 1_001, 2_000).await.unwrap(), []);
}

pub(crate) async fn a_survey_returns_thousands_of_records_once_each(at: &impl Readable) {
    // Many records with the same time of acceptance, which cross the ends of batches.
    let results = (0..3_500).map(|n| accepted(failed(&format!("e{n:04}"), 1), n / 1_200));
    let results: Vec<_> = results.collect();
    write(at, &results).await;
    let expected: Vec<_> = results
        .iter()
        .map(|result| surveyed(std::slice::from_ref(result)))
        .collect();
    assert!(survey(at, 0, 10).await.unwrap() == expected);
}

pub(crate) async fn a_survey_fails_at_an_unreadable_record(at: &impl Readable) {
    write(at, &[failed("e1", 1), delivered("e2", 1)]).await;
    for key in ["e1/default", "e2/default"] {
        at.remove_attempts(key).await;
    }
    let unreadable =
        |error| matches!(error, LogUnavailable::Unreadable { id, .. } if id == "e1/default");
    assert!(unreadable(survey(at, 0, 1).await.unwrap_err()));
    let ids = ["e1", "e2"].map(|id| EventId::parse(id).unwrap());
    assert!(unreadable(at.reader().survey_of(&ids).await.unwrap_err()));
    let other = at.reader().survey_of(&ids[1..]).await.unwrap();
    assert_eq!(other, [surveyed(&[delivered("e2", 1)])]);
}

pub(crate) async fn a_survey_of_ids_returns_their_records_at_all_endpoints(at: &impl Readable) {
    let of_each = [
        vec![failed("e1", 1), exhausted("e1", 2)],
        vec![at_crm(delivered("e1", 1))],
        vec![failed("e3", 1)],
    ];
    write(at, &of_each.concat()).await;
    for other in ["e", "e10", "e1-2", "e1_2", "E1", "e2"] {
        write(at, &[delivered(other, 1)]).await;
    }
    at.insert_foreign("e3/A USER", NOON).await;
    let ids = ["e1", "e3", "absent"].map(|id| EventId::parse(id).unwrap());
    let found = at.reader().survey_of(&ids).await.unwrap();
    let mut expected = vec![Surveyed::Foreign];
    expected.extend(of_each.iter().map(|results| surveyed(results)));
    assert_eq!(sorted(found), sorted(expected));
    assert_eq!(at.reader().survey_of(&[]).await.unwrap(), []);
}

pub(crate) async fn recent_endpoints_are_those_of_the_thousand_newest_records(at: &impl Readable) {
    assert_eq!(
        at.reader().recent_endpoints().await.unwrap(),
        BTreeSet::new()
    );
    let newer = (0..999).map(|n| accepted(delivered(&format!("e{n}"), 1), 1));
    let mut results: Vec<_> = newer.collect();
    results.push(at_crm(delivered("at-crm", 1)));
    write(at, &results).await;
    let names = |names: &[&str]| -> BTreeSet<_> {
        let names = names.iter().map(|name| EndpointName::parse(name).unwrap());
        names.collect()
    };
    let recent = at.reader().recent_endpoints().await.unwrap();
    assert_eq!(recent, names(&["crm", "default"]));
    at.insert_foreign(FOREIGN, NOON + 1).await;
    let recent = at.reader().recent_endpoints().await.unwrap();
    assert_eq!(recent, names(&["default"]));
}

pub(crate) async fn counts_are_grouped_by_event_status_or_endpoint(at: &impl Readable) {
    let mut call = exhausted("e3", 2);
    call.event = EventName::parse("call").unwrap();
    let mut first = failed("e3", 1);
    first.event = call.event.clone();
    let results = [
        delivered("e1", 1),
        failed("e2", 1),
        delivered("e2", 2),
        first,
        call,
        at_crm(failed("e1", 1)),
        accepted(delivered("early", 1), -1),
        accepted(delivered("late", 1), 1_000),
    ];
    write(at, &results).await;
    let counts = |kind: &str, [success, failed, retrying, at_first_attempt, retries]: [u64; 5]| {
        let counts = Counts {
            kind: kind.to_owned(),
            success,
            failed,
            retrying,
            at_first_attempt,
            retries,
        };
        (kind.to_owned(), counts)
    };
    let expected = [
        (
            CountBy::Event,
            vec![
                counts("message_create", [2, 0, 1, 1, 1]),
                counts("call", [0, 1, 0, 0, 1]),
            ],
        ),
        (
            CountBy::Status,
            vec![
                counts("success", [2, 0, 0, 1, 1]),
                counts("failed", [0, 1, 0, 0, 1]),
                counts("retrying", [0, 0, 1, 0, 0]),
            ],
        ),
        (
            CountBy::Endpoint,
            vec![
                counts("default", [2, 1, 0, 1, 2]),
                counts("crm", [0, 0, 1, 0, 0]),
            ],
        ),
    ];
    let (since, until) = (UnixMillis::new(NOON), UnixMillis::new(NOON + 1_000));
    for (by, expected) in expected {
        let found = at.reader().count(since, until, by).await.unwrap();
        let found: BTreeMap<_, _> = found.into_iter().map(|c| (c.kind.clone(), c)).collect();
        assert_eq!(found, expected.into_iter().collect(), "{by:?}");
    }
    let none = at.reader().count(until, until, CountBy::Event).await;
    assert_eq!(none.unwrap(), []);
}

pub(crate) async fn the_lifetime_follows_the_retention(at: &impl Readable) {
    assert_eq!(at.reader().lifetime().await.unwrap(), None);
    for days in [None, Some(30), Some(90), None, Some(1)] {
        at.log().prepare(days).await.unwrap();
        let expected = days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
        assert_eq!(at.reader().lifetime().await.unwrap(), expected);
    }
}
