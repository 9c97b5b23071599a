//! `tail` and `stats`.

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::tcp_proxy::{Network, TcpProxy};

use crate::world::{Test, Tests};
use crate::{assert_status, run, start};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("tail_shows_deliveries_as_they_end", shown);
    tests.add("tail_continues_after_the_log_was_unreachable", followed_on);
    tests.add("stats_equals_an_aggregate_of_the_collection", counted);
    tests.add("an_unreachable_log_is_reported_with_status_2", unreachable);
}

/// Starts a producer and a consumer whose receiver rejects `call` always and `ready` at the first
/// attempt.
async fn mixed(test: &Test) -> Pair {
    let receiver = Receiver::answering(|post| {
        let fails = match post.event() {
            Some("call") => true,
            Some("ready") => post.attempt() == Some(1),
            _ => false,
        };
        Answer::status(if fails { 500 } else { 200 })
    });
    let quick = [
        ("WEBHOOK_RETRY_ATTEMPTS", "2"),
        ("WEBHOOK_RETRY_DELAY", "100"),
    ];
    test.pair(receiver.await, &quick).await
}

async fn ended(pair: &Pair, event: &str, status: &'static str) -> String {
    let id = pair.post(&json!({ "event": event })).await.accepted_id();
    pair.wait_record(&id, AT_LAST, |record| {
        record.get_str("status").ok() == Some(status)
    })
    .await;
    id
}

fn lines(ran: &Ran) -> Vec<Value> {
    let lines = ran.printed().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn shown(test: Test) {
    let pair = mixed(&test).await;
    let call = ended(&pair, "call", "failed").await;
    let ready = ended(&pair, "ready", "success").await;
    // Two deliveries have ended; the third ends while `tail` waits.
    let tail = start(&pair, &["tail", "--json", "--since", "1h", "--limit", "3"]).await;
    let group = ended(&pair, "group_join", "success").await;
    let shown = lines(&tail.finish().await);
    let of = |field: &str| {
        shown
            .iter()
            .map(|line| line[field].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("eventId"), [call.as_str(), &ready, &group]);
    assert_eq!(of("status"), ["failed", "success", "success"]);
    assert_eq!(of("retryCount"), [2, 1, 0]);
    assert_eq!(of("statusCode"), [500, 200, 200]);
    assert_eq!(
        of("errorMessage"),
        [json!("answered 500"), Value::Null, Value::Null]
    );
    assert_eq!(of("endpoint"), ["default"; 3]);

    for (filter, expected) in [
        (["--status", "failed"], &call),
        (["--status", "success"], &ready),
        (["--endpoint", "default"], &call),
        (["--event", "ready"], &ready),
        (["--event", "group_join"], &group),
    ] {
        let only = ["tail", "--since", "1h", "--limit", "1", "--json"];
        let shown = lines(&run(&pair, &[&only[..], &filter].concat()).await);
        assert_eq!(shown[0]["eventId"], expected.as_str(), "{filter:?}");
    }
    let plain = run(&pair, &["tail", "--since", "1h", "--limit", "1"]).await;
    assert!(
        plain.printed().contains("Z  failed  500  call"),
        "{plain:?}"
    );
    assert!(
        !plain.printed().contains('\u{1b}'),
        "colours without a terminal"
    );
}

async fn followed_on(test: Test) {
    let pair = mixed(&test).await;
    let place = pair.place();
    let (proxy, uri) = TcpProxy::to_server_of(&place.mongodb_uri).await;
    let first = ended(&pair, "group_join", "success").await;
    let arguments = ["tail", "--json", "--since", "1h", "--limit", "2"];
    let settings = [
        ("MONGODB_URI", uri.as_str()),
        ("MONGODB_DATABASE", &place.database),
    ];
    let tail = Command::start(ProgramName::Standalone, &arguments, &settings).await;
    let is_shown = || async { tail.stdout_so_far().contains(&first).then_some(()) };
    eventually(AT_LAST, "the first delivery", is_shown).await;
    proxy.set(Network::Cut);
    let is_noticed = || async {
        tail.stderr_so_far()
            .contains("once the log is available")
            .then_some(())
    };
    eventually(AT_LAST, "the message on the lost log", is_noticed).await;
    let second = ended(&pair, "group_leave", "success").await;
    proxy.set(Network::Works);
    let ran = tail.finish().await;
    assert_eq!(ran.stderr.lines().count(), 1, "one message: {ran:?}");
    let ids: Vec<_> = lines(&ran)
        .iter()
        .map(|line| line["eventId"].clone())
        .collect();
    assert_eq!(ids, [first.as_str(), &second]);
}

async fn counted(test: Test) {
    let pair = mixed(&test).await;
    ended(&pair, "call", "failed").await;
    ended(&pair, "ready", "success").await;
    for _ in 0..3 {
        ended(&pair, "group_join", "success").await;
    }
    let by_event = run(&pair, &["stats", "--json"]).await;
    let by_event: Value = serde_json::from_str(by_event.printed()).unwrap();
    let row = |name: &str, success: u64, failed: u64, first: f64, retries: u64| {
        json!({
            "name": name, "deliveries": success + failed, "success": success, "failed": failed,
            "retrying": 0, "successRate": success as f64, "firstAttemptRate": first, "retries": retries,
        })
    };
    let mut group = row("group_join", 3, 0, 1.0, 0);
    group["successRate"] = json!(1.0);
    assert_eq!(
        by_event["rows"],
        json!([group, row("call", 0, 1, 0.0, 2), row("ready", 1, 0, 0.0, 1)])
    );
    let total = &by_event["total"];
    assert_eq!(
        (&total["successRate"], &total["firstAttemptRate"]),
        (&json!(0.8), &json!(0.6))
    );

    let by_status = run(&pair, &["stats", "--json", "--by", "status"]).await;
    let by_status: Value = serde_json::from_str(by_status.printed()).unwrap();
    let rows = by_status["rows"].as_array().unwrap().iter();
    let mut rows: Vec<_> = rows
        .map(|row| (row["name"].clone(), row["deliveries"].clone()))
        .collect();
    rows.sort_by_key(|(name, _)| name.to_string());
    let users = [
        doc! { "$group": { "_id": "$status", "count": { "$sum": 1 } } },
        doc! { "$sort": { "_id": 1 } },
    ];
    let users: Vec<Document> = pair
        .log()
        .aggregate(users)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let users: Vec<_> = users
        .iter()
        .map(|group| {
            (
                json!(group.get_str("_id").unwrap()),
                json!(group.get_i32("count").unwrap()),
            )
        })
        .collect();
    assert_eq!(rows, users);

    let table = run(&pair, &["stats", "--by", "endpoint"]).await;
    let rows: Vec<&str> = table.printed().lines().skip(2).collect();
    assert!(rows[0].starts_with("ENDPOINT "), "{table:?}");
    assert!(
        rows[1].starts_with("default ") && rows[1].contains(" 80.00 % "),
        "{table:?}"
    );
    assert!(rows[2].starts_with("all "), "{table:?}");
    let none = run(
        &pair,
        &["stats", "--json", "--until", "1h", "--since", "2h"],
    )
    .await;
    let none: Value = serde_json::from_str(none.printed()).unwrap();
    assert_eq!(
        (&none["rows"], &none["total"]["deliveries"]),
        (&json!([]), &json!(0))
    );
}

async fn unreachable(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let unreachable = format!(
        "mongodb://127.0.0.1:{}",
        wahook_tests::ports::free_port().unwrap()
    );
    for command in ["tail", "stats"] {
        let ran = alone(command, &[("MONGODB_URI", &unreachable)]).await;
        assert_status(&ran, 2);
        assert!(ran.stderr.contains("could not be reached"), "{ran:?}");
        let ran = alone(command, &[]).await;
        assert_status(&ran, 2);
        assert!(ran.stderr.contains("MONGODB_URI"), "{ran:?}");
    }
    let wrong = run(&pair, &["stats", "--since", "1h", "--until", "2h"]).await;
    assert_status(&wrong, 2);
    assert!(
        wrong.stderr.contains("--since must be before --until"),
        "{wrong:?}"
    );
}

async fn alone(command: &str, settings: &[(&str, &str)]) -> Ran {
    let started = Command::start(ProgramName::Standalone, &[command], settings).await;
    started.finish().await
}
