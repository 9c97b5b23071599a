use wahook_domain::{Attempt, AttemptNumber, EventBody, QueuedEvent};

use super::*;
use crate::schema::{ADDITIONS, SCHEMA};

fn result(id: &str, number: u32) -> AttemptResult {
    let body = EventBody::check(r#"{"event":"ping","data":{},"timestamp":"1"}"#.into()).unwrap();
    let (id, name) = (
        EventId::parse(id).unwrap(),
        EventName::parse("ping").unwrap(),
    );
    let event = QueuedEvent {
        attempt: AttemptNumber::new(number).unwrap(),
        ..QueuedEvent::new(id, name, body, UnixMillis::new(0))
    };
    let started_at = UnixMillis::new(i64::from(number));
    let attempt = Attempt::begun(&event, started_at, "https://example.test/".into());
    AttemptResult::of(&event, EndpointName::default(), attempt)
}

#[test]
fn unreadable_record_stays_and_holds_up_no_other() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(SCHEMA).unwrap();
    db.execute_batch(ADDITIONS).unwrap();
    for damage in [
        "attempts = 'damaged'",
        "attempts = '[{}]'",
        "attempts = x'00'",
        "attempts = CAST(x'ff' AS TEXT)",
        "event = ''",
        "event = CAST(x'ff' AS TEXT)",
        "createdAt = 'now'",
        "payload = x'00'",
    ] {
        db.execute("DELETE FROM webhooklogs", []).unwrap();
        assert!(write(&db, &result("a", 1), None).unwrap());
        db.execute(&format!("UPDATE webhooklogs SET {damage}"), [])
            .unwrap();
        assert!(!write(&db, &result("a", 2), None).unwrap(), "{damage}");
        assert!(write(&db, &result("b", 1), None).unwrap());
        assert!(write(&db, &result("b", 2), None).unwrap());
        let id = EventId::parse("b").unwrap();
        let other = find(&db, &id, &EndpointName::default()).unwrap().unwrap();
        assert_eq!(other.attempts().len(), 2, "{damage}");
        let damaged = format!("SELECT count(*) FROM webhooklogs WHERE {damage}");
        let damaged: i64 = db.query_row(&damaged, [], |row| row.get(0)).unwrap();
        assert_eq!(damaged, 1, "{damage}");
    }
}
