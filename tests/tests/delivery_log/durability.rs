//! Durability of acknowledged results.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mongodb::bson::{Document, doc};
use wahook_delivery_log::DeliveryLog;
use wahook_mongo_log::MongoLog;
use wahook_tests::mongod::Mongod;

use crate::{
    results::{delivered, event_with, written},
    server::Log,
};

#[tokio::test]
async fn a_write_waits_for_the_journals_of_the_majority_regardless_of_the_uri() {
    let database = "concern";
    let reader = Log::named(database).await;
    let uri = reader.uri();
    let separator = if uri.contains('?') { '&' } else { '?' };
    let weak = format!("{uri}{separator}w=0");
    let log = MongoLog::connect(&weak, database).await.unwrap();

    reader
        .database
        .run_command(doc! { "profile": 2 })
        .await
        .unwrap();
    let report = log
        .write(&[delivered("e1", &event_with("{}"))])
        .await
        .unwrap();
    reader
        .database
        .run_command(doc! { "profile": 0 })
        .await
        .unwrap();

    assert_eq!(report, written(1));
    let profile = reader.database.collection::<Document>("system.profile");
    let insert = profile
        .find_one(doc! { "op": "insert" })
        .await
        .unwrap()
        .unwrap();
    let concern = insert.get_document("writeConcern").unwrap();
    assert_eq!(concern.get_str("w").unwrap(), "majority");
    assert!(concern.get_bool("j").unwrap());
    assert_eq!(concern.get_str("provenance").unwrap(), "clientSupplied");
}

/// Kills the server while writers are running.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_result_is_lost_when_the_server_is_killed() {
    let server = Arc::new(Mongod::start().await);
    let log = Arc::new(Log::on(&server, "killed").await);
    let killed = Arc::new(AtomicBool::new(false));
    let (acknowledged, mut enough) = tokio::sync::watch::channel(0_usize);
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (log, killed) = (Arc::clone(&log), Arc::clone(&killed));
            let acknowledged = acknowledged.clone();
            tokio::spawn(async move {
                let body = event_with(r#"{"body":"hello"}"#);
                let mut kept = Vec::new();
                for batch in 0.. {
                    let ids: Vec<String> = (0..8)
                        .map(|event| format!("e{writer}-{batch}-{event}"))
                        .collect();
                    let results: Vec<_> = ids.iter().map(|id| delivered(id, &body)).collect();
                    // After the kill every write fails.
                    if killed.load(Ordering::SeqCst) || log.log.write(&results).await.is_err() {
                        break;
                    }
                    kept.extend(ids);
                    acknowledged.send_modify(|count| *count += results.len());
                }
                kept
            })
        })
        .collect();
    let some = tokio::time::timeout(
        Duration::from_secs(60),
        enough.wait_for(|count| *count >= 1_000),
    );
    some.await
        .expect("1,000 acknowledged results within 60 s")
        .unwrap();
    server.kill9().await;
    killed.store(true, Ordering::SeqCst);
    let mut kept = Vec::new();
    for writer in writers {
        kept.extend(writer.await.unwrap());
    }
    server.restart().await;

    let log = Log::on(&server, "killed").await;
    for id in &kept {
        assert!(
            log.found(id).await.is_some(),
            "{id} was acknowledged (one of {}) and is lost",
            kept.len()
        );
    }
}
