//! Export of a file with messages of every kind; a producer and a consumer continue with it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use mongodb::bson::doc;
use wahook_domain::{QueuedEvent, UnixMillis};
use wahook_queue::{
    Inspector, Outgoing,
    topology::{DEAD_QUEUE, RESULTS_QUEUE},
};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::{Pair, Place, SECRET};
use wahook_tests::program::{Command, ProgramName};
use wahook_tests::receiver::Receiver;

use crate::file::{DataFile, Filling, WORK, endpoint, event, now, result, row, step};
use wahook_tests::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_consumer_continues_with_everything_that_was_queued",
        goes_on,
    );
    tests.add(
        "an_exported_retry_is_in_the_wait_queue_of_its_record",
        waits_where,
    );
    tests.add("the_queue_of_a_removed_endpoint_is_kept", removed_endpoint);
}

/// Events that the receiver must get exactly once, with the number of the next attempt and its due
/// time.
type Expected = BTreeMap<String, (QueuedEvent, Option<UnixMillis>)>;

/// Publishes a waiting retry and records its failed first attempt. Returns the next attempt and
/// its due time.
async fn retry(filling: &Filling, id: &str, step_ms: i64) -> (QueuedEvent, UnixMillis) {
    let first = event("message_create", id, 1);
    let retry = Outgoing::retry(&first, &endpoint(), step(step_ms));
    filling.publish(retry).await;
    let ended = first.accepted_at.plus(Duration::from_millis(3));
    let due = ended.plus(step(step_ms).duration());
    filling
        .record(&[result(&first, Some("answered 500"), Some(due))])
        .await;
    let next = QueuedEvent {
        attempt: first.attempt.next(),
        ..first
    };
    (next, due)
}

async fn filled(file: &DataFile) -> Expected {
    let filling = file.fill().await;
    let mut expected = Expected::new();
    // State of a process at its end: one attempt is recorded but its message is not acked yet,
    // another message is being dead-lettered.
    let done = event("call", "done", 1);
    filling.publish(Outgoing::event(&done)).await;
    filling.record(&[result(&done, None, None)]).await;
    filling
        .publish(Outgoing::event(&event("call", "rejected", 1)))
        .await;
    let leased = filling.connection.take_one(WORK).await.unwrap().unwrap();
    let rejected = filling.connection.take_one(WORK).await.unwrap().unwrap();
    rejected.receipt.reject().await.unwrap();

    for n in 0..300 {
        let mut event = event("message_create", &format!("queued-{n}"), 1);
        if n % 10 == 3 {
            event.redriven_at = Some(event.accepted_at.plus(Duration::from_secs(n)));
        }
        filling
            .publish(Outgoing::republish(&event, &endpoint()))
            .await;
        expected.insert(event.id.to_string(), (event, None));
    }
    for n in 0..5 {
        // The longer wait is first in the file.
        let step = if n % 2 == 0 { 30_000 } else { 20_000 };
        let (next, due) = retry(&filling, &format!("waiting-{n}"), step).await;
        expected.insert(next.id.to_string(), (next, Some(due)));
    }
    let (overdue, _) = retry(&filling, "overdue", 60_000).await;
    expected.insert("overdue".to_owned(), (overdue, None));
    for n in 0..7 {
        let dead = event("ready", &format!("dead-{n}"), 4);
        let dead_letter = Outgoing::dead_letter(&dead, &endpoint(), "answered 500", now());
        filling.publish(dead_letter).await;
        filling
            .record(&[result(&dead, Some("answered 500"), None)])
            .await;
    }
    for n in 0..4 {
        let spilt = event("ready", &format!("spilt-{n}"), 1);
        filling
            .publish(Outgoing::result(&result(&spilt, None, None)))
            .await;
    }
    // The store is dropped before the leased message, as at a kill, so the lease stays unsettled.
    drop(filling);
    drop(leased);
    let overdue = "UPDATE waiting SET due_at = 1000 WHERE event_id = 'overdue'";
    assert_eq!(file.db().execute(overdue, []).unwrap(), 1);
    expected
}

async fn depth(place: &Place, queue: &str) -> u32 {
    let uri = place.amqp_url.parse().unwrap();
    let inspector = Inspector::open(&uri, "test").await.unwrap();
    let depth = inspector.depth(queue).await.unwrap();
    inspector.close().await;
    depth.unwrap_or_default().messages
}

async fn goes_on(test: Test) {
    let (place, file) = (test.place(), DataFile::new());
    let expected = filled(&file).await;
    let ran = file.exported(&place).await;
    assert!(ran.status.success(), "{ran:?}");
    println!("{}", ran.stdout);
    for (name, figures) in [
        ("queued", [301, 300, 1, 0]),
        ("waiting", [6, 6, 0, 0]),
        ("dead letters", [8, 8, 0, 0]),
        ("results", [4, 4, 0, 0]),
        ("log records", [14, 14, 0, 0]),
    ] {
        assert_eq!(row(&ran, name), figures, "{name}: {ran:?}");
    }
    assert_eq!(file.queued(), 0);
    assert_eq!(file.count("SELECT count(*) FROM webhooklogs"), 14);
    assert_eq!(depth(&place, DEAD_QUEUE).await, 8);
    assert_eq!(depth(&place, RESULTS_QUEUE).await, 4);

    // A second run has nothing to export.
    let again = file.exported(&place).await;
    assert!(again.status.success(), "{again:?}");
    assert_eq!(row(&again, "log records"), [14, 0, 14, 0], "{again:?}");
    for name in ["queued", "waiting", "dead letters", "results"] {
        assert_eq!(row(&again, name), [0; 4], "{name}: {again:?}");
    }
    assert_eq!(depth(&place, DEAD_QUEUE).await, 8);

    let receiver = Receiver::start().await;
    let pair = Pair::start(place, receiver, &[]).await;
    let posts = pair.receiver.wait_for(expected.len(), AT_LAST).await;
    assert_eq!(posts.len(), expected.len(), "a duplicate delivery");
    for post in &posts {
        let (event, due) = &expected[post.id().unwrap()];
        assert_eq!(post.body, event.body.bytes(), "{}", event.id);
        assert_eq!(post.attempt(), Some(event.attempt.get()), "{}", event.id);
        assert!(post.verify(SECRET).is_valid(), "{}", post.verify(SECRET));
        if let Some(due) = due {
            let due = SystemTime::UNIX_EPOCH + Duration::from_millis(due.get() as u64);
            assert!(post.arrived_at >= due, "{} came too early", event.id);
        }
    }
    // All have a successful record: the received events, the spilt results and the recorded one.
    let success = doc! { "status": "success" };
    eventually(AT_LAST, "all records", || async {
        let found = pair.log().count_documents(success.clone()).await.unwrap();
        (found == expected.len() as u64 + 4 + 1).then_some(())
    })
    .await;
    let record = pair.record("waiting-0").await.unwrap();
    assert_eq!(record.get_array("attempts").unwrap().len(), 2, "{record}");
    let round = pair.record("queued-13").await.unwrap();
    let round = round.get_array("attempts").unwrap()[0]
        .as_document()
        .unwrap();
    let queued_at = expected["queued-13"].0.queued_at().get();
    let recorded = round.get_datetime("queuedAt").unwrap().timestamp_millis();
    assert_eq!(recorded, queued_at, "start of the round");
    let dead_letters = listed(&pair).await;
    for n in 0..7 {
        assert!(
            dead_letters.contains(&format!("dead-{n}")),
            "{dead_letters}"
        );
    }
    assert!(dead_letters.contains("rejected"), "{dead_letters}");
    assert!(dead_letters.contains("answered 500"), "{dead_letters}");
    reconciled(pair.place()).await;
}

/// Runs `wahook-consumer reconcile`, which must find no difference.
async fn reconciled(place: &Place) {
    let settings = [
        ("AMQP_URL", place.amqp_url.as_str()),
        ("MONGODB_URI", &place.mongodb_uri),
        ("MONGODB_DATABASE", &place.database),
    ];
    let arguments = ["reconcile", "--grace", "6s"];
    let reconcile = Command::start(ProgramName::Consumer, &arguments, &settings).await;
    reconcile.finish().await.printed();
}

async fn listed(pair: &Pair) -> String {
    let settings = [("AMQP_URL", pair.place().amqp_url.as_str())];
    let list = Command::start(ProgramName::Consumer, &["dead", "list"], &settings).await;
    list.finish().await.printed().to_owned()
}

async fn waits_where(test: Test) {
    let (place, file) = (test.place(), DataFile::new());
    let filling = file.fill().await;
    // One retry has a record; the other waits longer than any current retry rule allows.
    retry(&filling, "long", 300_000).await;
    let unknown = event("call", "unknown", 1);
    filling
        .publish(Outgoing::retry(&unknown, &endpoint(), step(120_000)))
        .await;
    drop(filling);
    let later = "UPDATE waiting SET due_at = due_at - 200000 WHERE event_id = 'long'";
    assert_eq!(file.db().execute(later, []).unwrap(), 1);
    let elsewhere = "UPDATE waiting SET due_at = due_at + 7200000, delay_ms = delay_ms + 7200000 \
                     WHERE event_id = 'unknown'";
    assert_eq!(file.db().execute(elsewhere, []).unwrap(), 1);
    let ran = file.exported(&place).await;
    assert_eq!(row(&ran, "waiting"), [2, 2, 0, 0], "{ran:?}");
    // The first has 100 s left, and its record names its wait queue.
    assert_eq!(depth(&place, "wahook.wait.300000").await, 1);
    assert_eq!(depth(&place, "wahook.wait.120000").await, 0);
    assert_eq!(depth(&place, "wahook.wait.7680000").await, 1);
    reconciled(&place).await;
}

async fn removed_endpoint(test: Test) {
    let (place, file) = (test.place(), DataFile::new());
    let filling = file.fill().await;
    filling
        .publish(Outgoing::event(&event("call", "for-whom", 1)))
        .await;
    drop(filling);
    let renamed = "UPDATE messages SET queue = 'wahook.deliver.before'";
    assert_eq!(file.db().execute(renamed, []).unwrap(), 1);
    let ran = file.exported(&place).await;
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(depth(&place, "wahook.deliver.before").await, 1);
}
