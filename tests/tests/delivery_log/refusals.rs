//! Writes that the server refuses.

use mongodb::bson::{Document, bson, doc};
use wahook_delivery_log::{DeliveryLog, LogUnavailable, WriteReport};
use wahook_domain::{EndpointName, EventId};

use crate::{
    results::{attempt, delivered, event_with, result},
    server::Log,
};

async fn with_validator(database: &str, validator: Document) -> Log {
    let log = Log::named(database).await;
    log.database
        .create_collection("webhooklogs")
        .validator(validator)
        .await
        .unwrap();
    log
}

#[tokio::test]
async fn a_refused_payload_is_omitted_and_the_delivery_is_recorded() {
    let validator = doc! { "payload.forbidden": { "$exists": false } };
    let log = with_validator("refused_payload", validator).await;
    let (good, bad) = (event_with("{}"), event_with(r#"{"forbidden":true}"#));
    let results = [
        delivered("good", &good),
        delivered("bad", &bad),
        result("bad-merged", &bad, attempt(2, None, None)),
        delivered("better", &good),
    ];
    let expected = WriteReport {
        written: 4,
        altered: 2,
        rejected: 0,
    };
    assert_eq!(log.log.write(&results).await.unwrap(), expected);
    for id in ["bad", "bad-merged"] {
        let stored = log.stored(id).await;
        assert_eq!(stored.get("payload"), None);
        assert_eq!(stored.get("payloadAltered"), Some(&bson!(["refused"])));
        assert_eq!(stored.get_str("status").unwrap(), "success");
    }
}

/// Servers before 5.0 refuse such keys; a validator simulates them here.
#[tokio::test]
async fn refused_reserved_keys_are_stored_with_replacement_characters() {
    let key_is_reserved = doc! { "$regexMatch": { "input": "$$key.k", "regex": r"^\$|\." } };
    let keys = doc! { "$objectToArray": { "$ifNull": ["$payload", {}] } };
    let reserved = doc! { "$filter": { "input": keys, "as": "key", "cond": key_is_reserved } };
    let validator = doc! { "$expr": { "$eq": [reserved, []] } };
    let log = with_validator("reserved_keys", validator).await;
    let body = event_with(r#"{"$set":1,"a.b":2,"c$":3}"#);
    for number in [1, 2] {
        let id = format!("e{number}");
        let expected = WriteReport {
            written: 1,
            altered: 1,
            rejected: 0,
        };
        let write = result(&id, &body, attempt(number, None, None));
        assert_eq!(log.log.write(&[write]).await.unwrap(), expected);
        let stored = log.stored(&id).await;
        let payload = stored.get_document("payload").unwrap();
        assert_eq!(
            payload,
            &doc! { "\u{ff04}set": 1, "a\u{ff0e}b": 2, "c$": 3 }
        );
        assert_eq!(stored.get("payloadAltered"), Some(&bson!(["reserved_key"])));
    }
}

#[tokio::test]
async fn a_rejected_result_does_not_stop_the_others() {
    let log = with_validator("rejected", doc! { "eventId": { "$ne": "bad" } }).await;
    let body = event_with("{}");
    let results = ["e1", "bad", "e2"].map(|id| delivered(id, &body));
    let expected = WriteReport {
        written: 2,
        altered: 0,
        rejected: 1,
    };
    assert_eq!(log.log.write(&results).await.unwrap(), expected);
    assert!(log.found("e2").await.is_some());
    assert!(log.found("bad").await.is_none());
}

/// A conflict on a unique index of users must not be treated as a race on the record.
#[tokio::test]
async fn a_record_that_violates_an_index_of_users_is_rejected_at_once() {
    let log = Log::named("unique").await;
    let index = doc! { "key": { "payload.id": 1 }, "name": "theirs", "unique": true };
    let create = doc! { "createIndexes": "webhooklogs", "indexes": [index] };
    log.database.run_command(create).await.unwrap();
    let body = event_with(r#"{"id":"same"}"#);
    log.log.write(&[delivered("e1", &body)]).await.unwrap();
    // Stored without its payload, the record has no conflicting "payload.id".
    let expected = WriteReport {
        written: 1,
        altered: 1,
        rejected: 0,
    };
    assert_eq!(
        log.log.write(&[delivered("e2", &body)]).await.unwrap(),
        expected
    );
    let expected = WriteReport {
        written: 0,
        altered: 0,
        rejected: 1,
    };
    assert_eq!(
        log.log.write(&[delivered("e3", &body)]).await.unwrap(),
        expected
    );
}

/// Tools of users may have rewritten a record.
#[tokio::test]
async fn a_malformed_record_is_reported_and_does_not_stop_the_others() {
    let log = Log::named("foreign").await;
    let body = event_with("{}");
    let foreign = doc! { "_id": "e1/default", "event": "message_create", "attempts": "two" };
    log.collection().insert_one(foreign.clone()).await.unwrap();

    let id = EventId::parse("e1").unwrap();
    let found = log.log.find(&id, &EndpointName::default()).await;
    assert!(
        matches!(found, Err(LogUnavailable::Unreadable { .. })),
        "{found:?}"
    );

    let results = [delivered("e1", &body), delivered("e2", &body)];
    let expected = WriteReport {
        written: 1,
        altered: 0,
        rejected: 1,
    };
    assert_eq!(log.log.write(&results).await.unwrap(), expected);
    assert_eq!(log.stored("e1").await, foreign);
    assert!(log.found("e2").await.is_some());
}
