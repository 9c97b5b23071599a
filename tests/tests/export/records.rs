//! Exported log: equal to records of a consumer, merged with existing records, and unchanged by a
//! second run.

use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use wahook_delivery_log::DeliveryLog;
use wahook_domain::QueuedEvent;
use wahook_mongo_log::MongoLog;
use wahook_tests::pair::Place;

use crate::file::{DataFile, event, now, result, row};
use wahook_tests::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "an_exported_record_equals_one_that_a_consumer_writes",
        as_written,
    );
    tests.add("a_newer_record_in_mongodb_is_kept", newer_stays);
}

async fn collection(place: &Place) -> Collection<Document> {
    let client = mongodb::Client::with_uri_str(&place.mongodb_uri)
        .await
        .unwrap();
    client.database(&place.database).collection("webhooklogs")
}

async fn all(records: &Collection<Document>) -> Vec<Document> {
    let found = records.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
    found.try_collect().await.unwrap()
}

fn attempt(event: &QueuedEvent, number: u32) -> QueuedEvent {
    QueuedEvent {
        attempt: wahook_domain::AttemptNumber::new(number).unwrap(),
        ..event.clone()
    }
}

async fn as_written(test: Test) {
    let (place, file) = (test.place(), DataFile::new());
    let filling = file.fill().await;
    let mut results = Vec::new();
    for n in 0..450 {
        let first = event("message_create", &format!("event-{n:03}"), 1);
        if n % 3 == 0 {
            results.push(result(&first, Some("answered 500"), Some(now())));
            let end = if n % 2 == 0 {
                None
            } else {
                Some("answered 500")
            };
            results.push(result(&attempt(&first, 2), end, None));
        } else {
            results.push(result(&first, None, None));
        }
    }
    filling.record(&results).await;
    drop(filling);
    let ran = file.exported(&place).await;
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(row(&ran, "log records"), [450, 450, 0, 0], "{ran:?}");
    let moved = all(&collection(&place).await).await;

    // Records that a consumer writes for the same results, in another database.
    let other = format!("{}-other", place.database);
    let log = MongoLog::connect(&place.mongodb_uri, &other).await.unwrap();
    log.write(&results).await.unwrap();
    let other = Place {
        database: other,
        ..place.clone()
    };
    assert_eq!(moved, all(&collection(&other).await).await);

    let again = file.exported(&place).await;
    assert_eq!(row(&again, "log records"), [450, 0, 450, 0], "{again:?}");
    assert_eq!(moved, all(&collection(&place).await).await);
}

async fn newer_stays(test: Test) {
    let (place, file) = (test.place(), DataFile::new());
    let first = event("call", "known", 1);
    let failed = result(&first, Some("answered 500"), Some(now()));
    let delivered = result(&attempt(&first, 2), None, None);
    let filling = file.fill().await;
    filling.record(std::slice::from_ref(&failed)).await;
    drop(filling);
    // A consumer has already continued, and a user has added a field.
    let log = MongoLog::connect(&place.mongodb_uri, &place.database)
        .await
        .unwrap();
    log.write(&[delivered]).await.unwrap();
    let records = collection(&place).await;
    let note = doc! { "$set": { "note": "mine" } };
    records.update_one(doc! {}, note).await.unwrap();
    let ran = file.exported(&place).await;
    assert!(ran.status.success(), "{ran:?}");
    let found = all(&records).await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].get_str("status").unwrap(),
        "success",
        "{}",
        found[0]
    );
    assert_eq!(found[0].get_i32("statusCode").unwrap(), 200);
    assert_eq!(found[0].get_str("note").unwrap(), "mine");
    assert_eq!(found[0].get_array("attempts").unwrap().len(), 2);
}
