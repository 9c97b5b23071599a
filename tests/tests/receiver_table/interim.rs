//! Endpoints that send interim answers without end do not stop others.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::raw_receiver::{RawReceiver, Step};
use wahook_tests::receiver::Receiver;
use wahook_tests::world::{Test, Tests};

/// Events for the good endpoint, one after the other.
const EVENTS: usize = 40;
/// Events for the others, of which each gets as many requests meanwhile.
const ATTACKS: usize = 20;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "endless_interim_answers_stop_neither_deliveries_nor_acceptance",
        others_are_delivered,
    );
}

async fn others_are_delivered(test: Test) {
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100);
    let endless = || {
        let step = Step::Repeat(interim.clone().into(), Duration::ZERO);
        RawReceiver::answering(move |_| vec![step.clone()])
    };
    let hostile = [endless().await, endless().await];
    let good = Receiver::start().await;
    let mut file = format!(
        "[[endpoint]]\nname = \"good\"\nurl = \"{}\"\nevents = [\"message_create\"]\n",
        good.url()
    );
    for (name, endpoint) in ["first", "second"].iter().zip(&hostile) {
        file += &format!(
            "[[endpoint]]\nname = \"{name}\"\nurl = \"{}\"\nevents = [\"call\"]\n\
             circuit = false\nretry_attempts = 0\n",
            endpoint.url()
        );
    }
    let folder = RunFolder::temporary("interim").unwrap();
    let path = folder.join("endpoints.toml");
    fs::write(&path, file).unwrap();
    let settings = [
        ("WEBHOOK_URL", ""),
        ("WEBHOOK_SECRET", ""),
        ("WEBHOOK_ENDPOINTS", path.to_str().unwrap()),
    ];
    let pair = test.pair(good, &settings).await;

    let post = async |event: &str| {
        let answer = pair.post(&json!({"event": event, "data": {}})).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{event}");
        answer.accepted_id()
    };
    let attack = async {
        loop {
            post("call").await;
        }
    };
    let delivered = AtomicUsize::new(0);
    let events = async {
        let requests = || hostile.iter().map(|endpoint| endpoint.requests("call"));
        while delivered.load(Ordering::Relaxed) < EVENTS || requests().any(|n| n < ATTACKS) {
            let id = post("message_create").await;
            eventually(AT_LAST, "the event", || async {
                let posts = pair.receiver.posts_of(&id);
                (posts.len() == 1).then_some(())
            })
            .await;
            delivered.fetch_add(1, Ordering::Relaxed);
        }
    };
    tokio::select! {
        () = events => {}
        () = attack => {}
        () = tokio::time::sleep(AT_LAST) => {
            let requests = hostile.each_ref().map(|endpoint| endpoint.requests("call"));
            panic!("{delivered:?} events were delivered, {requests:?} attacked");
        }
    }
}
