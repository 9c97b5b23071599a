//! What must hold in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use wahook_tests::eventually::eventually;
use wahook_tests::pair::{Pair, SECRET, Servers};

/// Every id that was answered 202 is in the receiver's ledger, signed, and nothing else is.
pub(crate) async fn assert_all_arrived(
    servers: &Servers,
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
                // Counting thousands of posts must not starve what is counted.
                tokio::time::sleep(Duration::from_millis(250)).await;
                missing().is_empty().then_some(())
            }
        })
        .await;
    });
    if waited.await.is_err() {
        let missing = missing();
        // First of all: what follows may fail too.
        eprintln!("lost: {missing:#?}");
        eprintln!("the consumer: {}", state_of(pair).await);
        let depths = servers.rabbitmq.queue_depths().await;
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

/// What the consumer that was started last says of itself.
async fn state_of(pair: &Pair) -> String {
    let consumer = pair.take_consumer();
    let url = format!("{}/metrics", consumer.base_url());
    match reqwest::get(url).await {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(error) => error.to_string(),
    }
}

/// Every id that was answered 202 has ended well in the log, with the attempts that the
/// ledger shows or more.
pub(crate) async fn assert_all_logged(
    pair: &Pair,
    accepted: &BTreeSet<String>,
    deadline: Duration,
) {
    let count = accepted.len() as u64;
    let what = format!("{count} records of success");
    eventually(deadline, &what, || async {
        // Events whose 202 was lost on the way count too, and end well as the others do.
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
        // Those events can be enough while one that was answered 202 still waits for its
        // retry's confirm, before which nothing of it is recorded.
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
            .unwrap_or_else(|| panic!("{id} is not in the log"));
        assert_eq!(record.get_str("status").ok(), Some("success"), "{record}");
        let logged = record.get_i32("retryCount").unwrap() + 1;
        assert!(logged >= i32::try_from(attempts[id]).unwrap(), "{record}");
    }
}
