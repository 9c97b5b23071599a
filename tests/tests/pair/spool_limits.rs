//! Limits of a spool: its size, the disk, and files that are not for it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::StatusCode;
use rusqlite::Connection;
use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Answered;
use wahook_tests::program::{Program, ProgramName};
use wahook_tests::small_disk::SmallDisk;
use wahook_tests::tcp_proxy::Network;

use crate::outage::{LEAST_BYTES, Outage, event};
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_full_spool_answers_503_and_recovers", full);
    tests.add(
        "a_spool_without_disk_space_answers_503_and_recovers",
        no_space,
    );
    tests.add(
        "a_spool_that_is_foreign_damaged_or_in_use_is_refused",
        refused,
    );
}

async fn full(test: Test) {
    let outage = Outage::start(&test, LEAST_BYTES).await;
    outage.cut().await;
    let padding = "x".repeat(1_000_000);
    let large = |n: u32| json!({"event": "test", "data": {"n": n, "padding": padding}});
    let mut accepted = 0;
    let rejected: Answered = loop {
        let answer = outage.pair.post(&large(accepted)).await;
        if answer.status != StatusCode::ACCEPTED {
            break answer;
        }
        accepted += 1;
    };
    assert!((30..34).contains(&accepted), "{accepted} of 33.5 MB");
    assert_eq!(rejected.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rejected.json()["type"], "urn:wahook:problem:spool-full");
    assert!(rejected.headers.contains_key("retry-after"));
    let check = outage.wait_check(|check| check["ok"] == false).await;
    assert!(
        check["detail"]
            .as_str()
            .unwrap()
            .contains("the spool is full"),
        "{check}"
    );
    let metrics = outage.pair.producer.metrics().await;
    let reason = [("reason", "spool_full")];
    assert_eq!(
        metrics.sum_where("wahook_events_refused_total", &reason),
        1.0
    );

    outage.network.set(Network::Works);
    outage.wait_events(0).await;
    outage.wait_check(|check| check["ok"] == true).await;
    outage.post(accepted..accepted + 1).await;
    outage.assert_delivered(accepted + 1).await;
}

async fn no_space(_: Test) {
    let folder = RunFolder::temporary("spool-disk").unwrap();
    let disk = SmallDisk::mount(&folder.join("disk"), 8).await.unwrap();
    let path = folder.join("disk/spool.db");
    let settings = [
        ("AMQP_URL", "amqp://127.0.0.1:1"),
        ("PRODUCER_SPOOL", path.to_str().unwrap()),
    ];
    let producer = Program::producer_on(&disk, &settings).await;
    let http = http_client().unwrap();
    let url = format!("{}/v1/events", producer.base_url());
    // Each event once, or it would be a duplicate.
    let numbers = AtomicU32::new(0);
    let post = || {
        let n = numbers.fetch_add(1, Ordering::Relaxed);
        let request = http.post(&url).header("content-type", "application/json");
        request.body(event(n).to_string()).send()
    };
    assert_eq!(post().await.unwrap().status(), 202);
    disk.fill().unwrap();
    let text = eventually(AT_LAST, "a rejected event", || async {
        let answer = post().await.ok()?;
        (answer.status() == 503).then_some(())?;
        answer.text().await.ok()
    })
    .await;
    assert!(text.contains("urn:wahook:problem:spool-unusable"), "{text}");
    let ready = http.get(format!("{}/readyz", producer.base_url()));
    eventually(AT_LAST, "a producer that is not ready", || async {
        let answer = ready.try_clone()?.send().await.ok()?;
        (answer.status() == 503).then_some(())?;
        answer
            .text()
            .await
            .ok()
            .filter(|text| text.contains("full"))
    })
    .await;
    disk.make_room().unwrap();
    eventually(AT_LAST, "an accepted event", || async {
        (post().await.ok()?.status() == 202).then_some(())
    })
    .await;
}

async fn refused(_: Test) {
    let folder = RunFolder::temporary("spool-refused").unwrap();
    let foreign = folder.join("foreign.db");
    let notes = Connection::open(&foreign).unwrap();
    notes.execute_batch("CREATE TABLE notes (text)").unwrap();
    let data = folder.join("wahook.db");
    let marked = Connection::open(&data).unwrap();
    let mark = format!("PRAGMA application_id = {}", 0x5741_484B);
    marked.execute_batch(&mark).unwrap();
    let damaged = folder.join("damaged.db");
    fs::write(&damaged, "not a database at all, ".repeat(400)).unwrap();
    let used = folder.join("used.db");
    let settings = |path: &PathBuf| {
        [
            ("AMQP_URL", "amqp://127.0.0.1:1".to_owned()),
            ("PRODUCER_SPOOL", path.to_str().unwrap().to_owned()),
        ]
    };
    let owned = settings(&used);
    let owned = owned
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let _user = Program::producer(&owned).await;
    for (path, text) in [
        (&foreign, "is not a spool"),
        (&data, "is not a spool"),
        (&damaged, "is damaged"),
        (&used, "is in use by another wahook-producer"),
    ] {
        let before = fs::read(path).unwrap();
        let owned = settings(path);
        let owned = owned
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let program = Program::launch(ProgramName::Producer, &owned).await;
        assert_eq!(program.wait_exit(AT_LAST).await.code(), Some(1));
        let log = program.stderr_so_far();
        assert!(
            log.contains(text) && log.contains("PRODUCER_SPOOL"),
            "{log}"
        );
        assert_eq!(fs::read(path).unwrap(), before, "{path:?} was changed");
    }
}
