//! Log on a MongoDB user with the role that `docs/broker-users.md` gives the consumers.

use std::sync::Arc;

use mongodb::bson::doc;
use wahook_delivery_log::{DeliveryLog, LogReader};
use wahook_tests::mongod::Mongod;

use crate::{
    results::{delivered, event_with, written},
    server::Log,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_read_write_on_the_database_keeps_the_log_and_changes_its_retention() {
    let role = doc! { "role": "readWrite", "db": "least" };
    let server = Arc::new(Mongod::start_with_roles(vec![role]).await);
    let log = Log::on(&server, "least").await;
    for days in [Some(30), Some(7), None, Some(1)] {
        log.log.prepare(days).await.unwrap();
        let lifetime = log.log.lifetime().await.unwrap();
        assert_eq!(
            lifetime.map(|time| time.as_secs() / 86_400),
            days.map(u64::from)
        );
    }
    let report = log.log.write(&[delivered("e1", &event_with("{}"))]).await;
    assert_eq!(report.unwrap(), written(1));
    assert!(log.found("e1").await.is_some());

    let other = Log::on(&server, "other").await;
    assert!(other.log.prepare(None).await.is_err());
}
