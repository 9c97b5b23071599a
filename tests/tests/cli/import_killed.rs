//! `kill -9` of an import at any moment: no line is lost or becomes two events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::doc;
use serde_json::{Value, json};
use wahook_tests::eventually::eventually;
use wahook_tests::folder::RunFolder;
use wahook_tests::pair::Pair;
use wahook_tests::random::Random;
use wahook_tests::receiver::{Post, Receiver};

use crate::world::{Test, Tests};
use crate::{assert_status, run, start};

const LINES: u64 = 4_000;
const KILLS: usize = 12;
const LONG: Duration = Duration::from_secs(360);

pub(crate) fn add(tests: &mut Tests) {
    tests.add("an_import_killed_repeatedly_sends_each_line_once", killed);
}

/// Returns line `n`. Every third line has a timestamp and a unique body; the others share their
/// body with the rest of their ten lines.
pub(crate) fn line(n: u64) -> String {
    if n.is_multiple_of(3) {
        format!(r#"{{"event":"test","data":{{"n":{n}}},"timestamp":"2024-10-01T12:00:00.000Z"}}"#)
    } else {
        format!(r#"{{"event":"test","data":{{"ten":{}}}}}"#, n / 10)
    }
}

async fn killed(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let folder = RunFolder::temporary("import").unwrap();
    let file = folder.join("events.ndjson");
    let text: String = (0..LINES).map(|n| line(n) + "\n").collect();
    fs::write(&file, &text).unwrap();
    let file = file.to_str().unwrap();

    let mut random = Random::seeded(8);
    let mut began_again = 0;
    for kill in 0..KILLS {
        let seen = pair.receiver.count();
        // Batches of 200 lines, and pauses between them.
        let import = start(&pair, &["import", file, "--rate", "400"]).await;
        if kill % 2 == 0 {
            let moment = Duration::from_millis(random.within(0, 1_200) as u64);
            tokio::time::sleep(moment).await;
        } else {
            // While a batch is in flight, or just before the position is saved.
            pair.receiver.wait_for(seen + 1, LONG).await;
        }
        import.kill9().await;
        began_again += usize::from(pair.receiver.count() > seen);
    }
    assert!(
        began_again >= KILLS / 2,
        "only {began_again} runs sent anything"
    );
    let last = run(&pair, &["import", file]).await;
    assert_status(&last, 0);
    let expected = format!("{LINES} lines accepted");
    assert!(last.stdout.starts_with(&expected), "{last:?}");

    // Duplicates of a line are queued before this event.
    let end = pair.post(&json!({ "event": "end" })).await.accepted_id();
    let all_of = |posts: &[Arc<Post>]| {
        let ids: BTreeSet<_> = posts.iter().map(|post| post.id()).collect();
        ids.len() as u64 > LINES && ids.contains(&Some(end.as_str()))
    };
    pair.receiver
        .wait_until("an event of each line", LONG, all_of)
        .await;
    each_line_is_one_event(&pair).await;
    let nothing_new = run(&pair, &["import", file]).await;
    assert_status(&nothing_new, 0);
    let expected = format!("{LINES} of all in earlier runs\n");
    assert!(nothing_new.stdout.ends_with(&expected), "{nothing_new:?}");
}

async fn each_line_is_one_event(pair: &Pair) {
    let mut bodies: BTreeMap<String, Value> = BTreeMap::new();
    for post in pair.receiver.posts() {
        if post.event() == Some("test") {
            let body = serde_json::from_slice(&post.body).unwrap();
            bodies.insert(post.id().unwrap().to_owned(), body);
        }
    }
    assert_eq!(bodies.len() as u64, LINES, "one id for each line");
    let mut alone = BTreeSet::new();
    let mut in_tens: BTreeMap<u64, u64> = BTreeMap::new();
    for body in bodies.values() {
        match body["data"]["n"].as_u64() {
            Some(n) => assert!(alone.insert(n), "{n} is there twice"),
            None => {
                let ten = body["data"]["ten"].as_u64().unwrap();
                *in_tens.entry(ten).or_default() += 1;
            }
        }
    }
    for ten in 0..LINES / 10 {
        let lines = ten * 10..ten * 10 + 10;
        let without_time = lines.filter(|n| !n.is_multiple_of(3)).count() as u64;
        assert_eq!(in_tens[&ten], without_time, "the lines from {}", ten * 10);
    }
    eventually(
        LONG,
        "a record of each line, and one of the end",
        || async {
            let records = pair.log().count_documents(doc! {}).await.unwrap();
            (records == LINES + 1).then_some(())
        },
    )
    .await;
}
