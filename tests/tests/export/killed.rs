//! Repeated `kill -9` during an export: nothing is lost, and at most the messages in flight are
//! duplicated.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use wahook_queue::{Inspector, Outgoing, topology::DEAD_QUEUE};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Place;
use wahook_tests::random::Random;

use crate::file::{DataFile, WORK, endpoint, event, now, result, row, step};
use wahook_tests::world::{Test, Tests};

/// Maximum number of messages in flight.
const IN_FLIGHT: usize = 128;
const WAIT: &str = "wahook.wait.480000";

pub(crate) fn add(tests: &mut Tests) {
    tests.add("kill_9_at_any_moment_of_an_export_loses_nothing", killed);
}

/// Returns `WAHOOK_KILLS`, or a default that is short enough for every test run.
fn kills() -> usize {
    let set = env::var("WAHOOK_KILLS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(10)
}

/// Fills the file with enough for an export per kill. Returns the ids by their queue.
async fn filled(file: &DataFile) -> BTreeMap<&'static str, BTreeSet<String>> {
    let filling = file.fill().await;
    let many = kills() * 300;
    let ids = |kind: &str, count| (0..count).map(|n| format!("{kind}-{n}")).collect();
    let expected: BTreeMap<_, BTreeSet<String>> = BTreeMap::from([
        (WORK, ids("queued", many)),
        (WAIT, ids("waiting", many / 4)),
        (DEAD_QUEUE, ids("dead", many / 4)),
    ]);
    let fresh = expected[WORK]
        .iter()
        .map(|id| Outgoing::event(&event("call", id, 1)));
    filling.publish_all(fresh).await;
    let retries = expected[WAIT].iter();
    let retries =
        retries.map(|id| Outgoing::retry(&event("call", id, 1), &endpoint(), step(480_000)));
    filling.publish_all(retries).await;
    let dead_letters = expected[DEAD_QUEUE].iter();
    let dead_letters = dead_letters
        .map(|id| Outgoing::dead_letter(&event("call", id, 4), &endpoint(), "answered 500", now()));
    filling.publish_all(dead_letters).await;
    let results: Vec<_> = (0..many)
        .map(|n| result(&event("call", &format!("done-{n}"), 1), None, None))
        .collect();
    filling.record(&results).await;
    expected
}

async fn seen(place: &Place, queue: &str) -> Vec<String> {
    let uri = place.amqp_url.parse().unwrap();
    let inspector = Inspector::open(&uri, "test").await.unwrap();
    // A look ends when no message has arrived for a while.
    let ids = eventually(AT_LAST, "all messages of the queue", || async {
        let depth = inspector.depth(queue).await.unwrap().unwrap_or_default();
        let mut look = inspector.look(queue).await.unwrap();
        let mut ids = Vec::new();
        while let Some(message) = look.next().await.unwrap() {
            ids.push(message.id().unwrap().to_string());
        }
        look.requeue().await;
        (ids.len() >= depth.messages as usize).then_some(ids)
    })
    .await;
    inspector.close().await;
    ids
}

async fn killed(test: Test) {
    let (place, file) = (test.place(), DataFile::new());
    let expected = filled(&file).await;
    let client = mongodb::Client::with_uri_str(&place.mongodb_uri)
        .await
        .unwrap();
    let records = client
        .database(&place.database)
        .collection::<Document>("webhooklogs");
    let copied = || async { records.count_documents(doc! {}).await.unwrap() };
    let mut random = Random::seeded(11);
    let mut interrupted = 0;
    for kill in 0..kills() {
        let (queued, logged) = (file.queued(), copied().await);
        if queued == 0 {
            break;
        }
        let export = file.export(&place, &[]).await;
        // Every third time as soon as a record is copied or a message is moved, else as soon as
        // a message is moved.
        let in_the_log = kill % 3 == 0;
        eventually(AT_LAST, "an export in progress", || async {
            let in_progress = file.queued() < queued || in_the_log && copied().await > logged;
            in_progress.then_some(())
        })
        .await;
        let moment = Duration::from_millis(random.within(0, 40) as u64);
        tokio::time::sleep(moment).await;
        export.kill9().await;
        interrupted += usize::from(file.queued() > 0);
    }
    let last = file.exported(&place).await;
    assert!(last.status.success(), "{last:?}");
    assert_eq!(file.queued(), 0);
    assert!(
        interrupted >= kills() / 2,
        "only {interrupted} kills interrupted an export"
    );
    let (mut lost, mut twice, mut all) = (Vec::new(), 0, 0);
    for (queue, ids) in &expected {
        let found = seen(&place, queue).await;
        let distinct: BTreeSet<_> = found.iter().cloned().collect();
        lost.extend(ids.difference(&distinct).cloned());
        assert!(
            distinct.is_subset(ids),
            "{queue} has messages of another queue"
        );
        twice += found.len() - distinct.len();
        all += ids.len();
    }
    println!(
        "{} kills, {interrupted} during an export: {all} messages, {} lost, {twice} duplicated",
        kills(),
        lost.len()
    );
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(
        twice <= kills() * IN_FLIGHT,
        "{twice} messages are duplicated"
    );
    let logged = row(&last, "log records")[0];
    assert_eq!(copied().await, logged);
}
