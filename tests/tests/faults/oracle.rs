//! Final checks of receiver and log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use wahook_tests::eventually::eventually;
use wahook_tests::pair::{Pair, SECRET, Servers};
use wahook_tests::rabbitmq::RabbitMq;

/// Asserts that every accepted id has reached the receiver, and that every post is signed.
pub(crate) async fn assert_all_arrived(
    servers: &Servers,
    pair: &Pair,
    accepted: &BTreeSet<String>,
    deadline: Duration,
) {
    assert_all_arrived_from(&servers.rabbitmq, pair, accepted, deadline).await;
}

/// Asserts the same of events in the queues of this broker.
pub(crate) async fn assert_all_arrived_from(
    rabbitmq: &RabbitMq,
    pair: &Pair,
    accepted: &BTreeSet<String>,
    deadline: Duration,
) {
    let missing = || -> Vec<String> {
        let arrived: BTreeSet<String> = pair
            .receiver
            .posts()
            .iter()
            .filter_map(|post| post.id().map(str::to_owned))
            .collect();
        accepted.difference(&arrived).cloned().collect()
    };
    let what = format!("all {} accepted events at the webhook", accepted.len());
    let waited = tokio::time::timeout(deadline, async {
        eventually(deadline * 2, &what, || async {
            {
                // Counting thousands of posts must not starve the deliveries.
                tokio::time::sleep(Duration::from_millis(250)).await;
                missing().is_empty().then_some(())
            }
        })
        .await;
    });
    if waited.await.is_err() {
        let missing = missing();
        // Printed first: the calls below can fail too.
        eprintln!("lost: {missing:#?}");
        eprintln!("consumer metrics: {}", state_of(pair).await);
        let depths = rabbitmq.queue_depths().await;
        eprintln!("ready and unacknowledged: {depths:#?}");
        panic!(
            "{} of {} accepted events are lost",
            missing.len(),
            accepted.len()
        );
    }
    for post in pair.receiver.posts() {
        assert!(post.verify(SECRET).is_valid(), "{}", post.verify(SECRET));
    }
}

/// Returns the metrics of the last started consumer.
async fn state_of(pair: &Pair) -> String {
    let consumer = pair.take_consumer();
    let url = format!("{}/metrics", consumer.base_url());
    match reqwest::get(url).await {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(error) => error.to_string(),
    }
}

/// Asserts that every accepted id has status `success` in the log, with at least the attempts
/// that the receiver has recorded.
pub(crate) async fn assert_all_logged(
    pair: &Pair,
    accepted: &BTreeSet<String>,
    deadline: Duration,
) {
    let count = accepted.len() as u64;
    let what = format!("{count} records with status success");
    eventually(deadline, &what, || async {
        // Includes events whose 202 was lost in transit.
        let success = pair
            .log()
            .count_documents(doc! {"status": "success"})
            .await
            .ok()?;
        let others = pair
            .log()
            .count_documents(doc! {"status": {"$ne": "success"}})
            .await
            .ok()?;
        if success < count || others > 0 {
            return None;
        }
        // Such events can reach the count while an accepted event still waits for the confirm
        // of its retry, before which its result is not recorded.
        let ids: Vec<&str> = accepted.iter().map(String::as_str).collect();
        let filter = doc! {"status": "success", "eventId": {"$in": ids}};
        let ours = pair.log().count_documents(filter).await.ok()?;
        (ours == count).then_some(())
    })
    .await;
    let found: Vec<Document> = pair
        .log()
        .find(doc! {})
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let records: BTreeMap<&str, &Document> = found
        .iter()
        .map(|record| (record.get_str("eventId").unwrap(), record))
        .collect();
    let mut attempts: BTreeMap<String, u32> = BTreeMap::new();
    for post in pair.receiver.posts() {
        let highest = attempts.entry(post.id().unwrap().to_owned()).or_default();
        *highest = post.attempt().unwrap().max(*highest);
    }
    for id in accepted {
        let record = records
            .get(id.as_str())
            .unwrap_or_else(|| panic!("{id} has no record in the log"));
        assert_eq!(record.get_str("status").ok(), Some("success"), "{record}");
        let logged = record.get_i32("retryCount").unwrap() + 1;
        assert!(logged >= i32::try_from(attempts[id]).unwrap(), "{record}");
    }
}
