//! Full disk.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::load::Load;
use wahook_tests::program::Program;
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::small_disk::SmallDisk;

use crate::system::System;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_events_loses_none_and_recovers_with_free_space() {
    let folder = RunFolder::temporary("full-disk").unwrap();
    let disk = SmallDisk::mount(&folder.join("disk"), 32).await.unwrap();
    let data = folder.join("disk").join("wahook.db").display().to_string();
    let answers = Receiver::answering(|post| {
        Answer::status(if post.attempt() == Some(1) { 500 } else { 200 })
    });
    let receiver = answers.await;
    let settings = [
        ("WAHOOK_DATA", data.as_str()),
        ("WEBHOOK_RETRY_DELAY", "200"),
        ("WEBHOOK_CIRCUIT", "off"),
    ];
    let system = System::new(&receiver, &settings);
    let program = Program::standalone_on(&disk, &system.borrowed()).await;
    program.wait_ready(AT_LAST).await;
    let load = Load::start_at(&system.events, 4, Duration::from_millis(5), u64::MAX);
    eventually(AT_LAST, "some load", || async {
        (load.accepted() > 200).then_some(())
    })
    .await;
    disk.fill().unwrap();
    let http = http_client().unwrap();
    let post = || async {
        let event = json!({"event": "call"}).to_string();
        let url = format!("{}/v1/events", system.events);
        let request = http.post(url).header("content-type", "application/json");
        request.body(event).send().await.unwrap().status()
    };
    eventually(AT_LAST, "answer 503", || async {
        (post().await == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    let ready = || async {
        let url = format!("{}/readyz", system.events);
        http.get(url).send().await.unwrap().status()
    };
    eventually(AT_LAST, "/readyz to answer 503", || async {
        (ready().await == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    disk.make_room().unwrap();
    eventually(AT_LAST, "answer 202 after space is freed", || async {
        (post().await == StatusCode::ACCEPTED).then_some(())
    })
    .await;
    program.wait_ready(AT_LAST).await;
    let accepted = load.stop().await;
    receiver
        .wait_until("every accepted event", AT_LAST, |posts| {
            let delivered = posts.iter().filter(|post| post.attempt() > Some(1));
            let delivered: std::collections::BTreeSet<_> =
                delivered.filter_map(|post| post.id()).collect();
            accepted.iter().all(|id| delivered.contains(id.as_str()))
        })
        .await;
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
}
