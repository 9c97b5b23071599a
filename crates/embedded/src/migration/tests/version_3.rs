//! Migration of `tests/data/wahook-v3.db`, which a program of version 3 wrote.

use wahook_domain::{Omitted, OrderKey, Original, Propagated};

use super::*;

const VERSION_3: &[u8] = include_bytes!("../../../tests/data/wahook-v3.db");

/// Returns queue, id, next attempt and session of messages.
fn shown(found: &[FoundMessage]) -> Vec<String> {
    let each = found.iter().map(|found| {
        let event = found.message.content().unwrap();
        let session = event.origin.as_ref().and_then(|of| of.session.as_deref());
        let (id, attempt) = (event.id.as_str(), event.attempt.get());
        format!("{} {id} {attempt} {}", found.queue, session.unwrap_or("-"))
    });
    each.collect()
}

#[test]
fn messages_of_version_3_are_kept_and_have_no_key_and_new_ones_can_have_one() {
    let copy = Copy::of(VERSION_3, "third");
    assert_eq!(copy.version(), 3);
    let [queued, waiting] = copy.all();
    assert_eq!(copy.version(), schema::VERSION);
    let expected = [
        "wahook.deliver.archive documented-1 1 -",
        "wahook.deliver.archive sourced-1 1 s1",
        "wahook.dead sourced-1 1 s1",
    ];
    assert_eq!(shown(&queued), expected);
    let expected = [
        "wahook.deliver.default documented-1 2 -",
        "wahook.deliver.default sourced-1 2 s1",
        "wahook.deliver.default documented-2 2 -",
    ];
    assert_eq!(shown(&waiting), expected);
    let mut found = queued.iter().chain(&waiting);
    assert!(found.all(|found| found.message.metadata.key.is_none()));
    let mut keyed = queued[0].message.clone();
    keyed.metadata.key = OrderKey::sent("order-7").ok();
    keyed.metadata.is_redelivery = true;
    keyed.metadata.is_exact = true;
    keyed.metadata.propagated = Propagated::of(Some("v=1".into()), Some("user=7".into()));
    keyed.metadata.auto_redrives = 2;
    keyed.metadata.is_outage = Some(false);
    let db = open::open(&copy.path()).unwrap().db;
    messages::insert(&db, 100, "wahook.deliver.archive", &keyed).unwrap();
    messages::insert_waiting(&db, UnixMillis::new(1), Some(5), "other", &keyed).unwrap();
    assert_eq!(messages::find(&db, 100).unwrap().unwrap().message, keyed);
    let waiting = messages::waiting_after(&db, "other", 0, 10).unwrap();
    assert_eq!(waiting[0].1, keyed);
}

#[test]
fn messages_of_version_4_are_kept_and_have_canonical_bodies_and_new_ones_can_have_exact_ones() {
    let copy = Copy::of(VERSION_3, "fourth");
    let db = Connection::open(copy.path()).unwrap();
    db.execute_batch(schema::KEY_AND_REDELIVERY_OF_MESSAGES)
        .unwrap();
    db.execute_batch("UPDATE messages SET key = 'k:order-7'; PRAGMA user_version = 4")
        .unwrap();
    drop(db);
    let all = copy.all();
    assert_eq!(copy.version(), schema::VERSION);
    assert_eq!(all.each_ref().map(Vec::len), [3, 3]);
    let found = all.iter().flatten().map(|found| &found.message);
    assert!(found.clone().all(|message| !message.metadata.is_exact));
    assert!(
        found
            .clone()
            .all(|message| message.metadata.propagated.is_none())
    );
    assert!(found.clone().all(|message| message.content().is_ok()));
    assert!(
        found
            .clone()
            .all(|message| message.metadata.auto_redrives == 0)
    );
    assert!(
        found
            .clone()
            .all(|message| message.metadata.is_outage.is_none())
    );
    let key = OrderKey::sent("order-7").ok();
    assert!(all[0].iter().all(|found| found.message.metadata.key == key));
    let mut exact = all[0][0].message.clone();
    exact.metadata.is_exact = true;
    exact.metadata.propagated = Propagated::of(None, Some("user=7".into()));
    exact.metadata.auto_redrives = 1;
    exact.metadata.is_outage = Some(true);
    let db = open::open(&copy.path()).unwrap().db;
    messages::insert(&db, 100, "wahook.deliver.archive", &exact).unwrap();
    assert_eq!(messages::find(&db, 100).unwrap().unwrap().message, exact);
}

#[test]
fn records_of_version_5_are_kept_and_those_of_sources_have_no_body() {
    let copy = Copy::of(VERSION_3, "fifth");
    let db = Connection::open(copy.path()).unwrap();
    db.execute_batch(schema::KEY_AND_REDELIVERY_OF_MESSAGES)
        .unwrap();
    db.execute_batch(schema::COLUMNS_OF_VERSION_5).unwrap();
    db.execute_batch("PRAGMA user_version = 5").unwrap();
    let count = "SELECT count(*) FROM webhooklogs";
    let before: i64 = db.query_row(count, [], |row| row.get(0)).unwrap();
    drop(db);
    assert_eq!(copy.all().each_ref().map(Vec::len), [3, 3]);
    assert_eq!(copy.version(), schema::VERSION);
    let records = Contents::open(&copy.path()).unwrap();
    let records = records.records("", UnixMillis::new(0), 100).unwrap();
    assert_eq!(i64::try_from(records.len()), Ok(before));
    let results: Vec<_> = records
        .into_iter()
        .flat_map(|r| r.results.unwrap())
        .collect();
    assert!(results.iter().any(|result| result.origin.is_some()));
    for result in results {
        let expected = match result.origin {
            Some(_) => Original::Lost(Omitted::NotKept),
            None => Original::Same,
        };
        assert_eq!(result.original, expected);
    }
}
