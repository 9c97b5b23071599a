use super::*;
use crate::schema::{ADDITIONS, SCHEMA};

fn filter(set: impl FnOnce(&mut SearchFilter)) -> SearchFilter {
    let mut filter = SearchFilter::default();
    set(&mut filter);
    filter
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Returns what SQLite does for a search.
fn plan(filter: &SearchFilter, cursor: Option<&Cursor>) -> String {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(SCHEMA).unwrap();
    db.execute_batch(ADDITIONS).unwrap();
    let (wanted, values) = wanted(filter, cursor);
    let columns = found_columns!();
    let query = format!("EXPLAIN QUERY PLAN SELECT {columns} FROM webhooklogs {wanted}");
    let mut statement = db.prepare(&query).unwrap();
    let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
    let steps: rusqlite::Result<Vec<_>> = steps.unwrap().collect();
    steps.unwrap().join("; ")
}

#[test]
fn every_search_reads_the_index_that_suits_its_filter() {
    let (search, status) = (
        "INDEX webhooklogs_search",
        "INDEX webhooklogs_by_status (status=?",
    );
    let cases = [
        (search, SearchFilter::default()),
        (search, filter(|f| f.chat = some("1@c.us"))),
        (search, filter(|f| f.message_id = some("A"))),
        (search, filter(|f| f.session = some("s1"))),
        (search, filter(|f| f.source = some("shop"))),
        (search, filter(|f| f.endpoint = some("crm"))),
        (search, filter(|f| f.status_code = Some(500))),
        (search, filter(|f| f.error = some("timeout"))),
        (
            search,
            filter(|f| {
                f.chat = some("1@c.us");
                f.event = some("call");
                f.status = Some(Status::Success);
            }),
        ),
        (status, filter(|f| f.status = Some(Status::Success))),
        (
            status,
            filter(|f| {
                f.status = Some(Status::Failed);
                f.endpoint = some("crm");
                f.event = some("call");
            }),
        ),
        (
            "INDEX webhooklogs_by_event (event=?",
            filter(|f| f.event = some("call")),
        ),
        (
            "INDEX sqlite_autoindex_webhooklogs_1 (_id>? AND _id<?)",
            filter(|f| {
                f.event_id = some("e1");
                f.status = Some(Status::Failed);
            }),
        ),
    ];
    let cursor = Cursor {
        created_at: UnixMillis::new(5),
        key: "e1/default".to_owned(),
    };
    for (index, mut filter) in cases {
        for (cursor, is_limited) in [(None, false), (None, true), (Some(&cursor), true)] {
            filter.since = is_limited.then_some(UnixMillis::new(1));
            filter.until = is_limited.then_some(UnixMillis::new(9));
            let plan = plan(&filter, cursor);
            assert!(plan.contains(index), "{filter:?}: {plan}");
            let is_sorted_whole = plan.contains("USE TEMP B-TREE FOR ORDER BY");
            assert_eq!(
                is_sorted_whole,
                filter.event_id.is_some(),
                "{filter:?}: {plan}"
            );
            let has_range = plan.contains("createdAt>? AND createdAt<?");
            assert_eq!(has_range, is_limited && filter.event_id.is_none(), "{plan}");
        }
    }
}

#[test]
fn conditions_are_one_for_each_part_of_a_filter() {
    let everything = SearchFilter {
        status: Some(Status::Failed),
        event: some("call"),
        endpoint: some("crm"),
        source: some("shop"),
        session: some("s1"),
        chat: some("1@c.us"),
        message_id: some("A"),
        event_id: some("e1"),
        status_code: Some(500),
        error: some("timeout"),
        since: Some(UnixMillis::new(1)),
        until: Some(UnixMillis::new(9)),
    };
    let (text, values) = wanted(&everything, None);
    assert_eq!(text.matches('?').count(), values.len());
    assert_eq!(values.len(), 13);
}
