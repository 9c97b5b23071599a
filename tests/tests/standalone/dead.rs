//! Command `dead` next to a running process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::load::Load;
use wahook_tests::program::{Command, ProgramName};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const DEAD_LETTERS: &str = "SELECT count(*) FROM messages WHERE queue = 'wahook.dead'";

async fn dead(system: &System, arguments: &[&str]) -> String {
    let arguments = [&["dead"], arguments].concat();
    let settings = system.borrowed();
    let command = Command::start(ProgramName::Standalone, &arguments, &settings);
    command.await.finish().await.printed().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_redriven_and_discarded_while_a_process_runs() {
    let works = Arc::new(AtomicBool::new(false));
    let answers = Receiver::answering({
        let works = Arc::clone(&works);
        move |_| {
            Answer::status(if works.load(Ordering::Relaxed) {
                200
            } else {
                500
            })
        }
    });
    let receiver = answers.await;
    let settings = [("WEBHOOK_RETRY_ATTEMPTS", "0"), ("WEBHOOK_CIRCUIT", "off")];
    let system = System::new(&receiver, &settings);
    let _program = system.start().await;
    let load = Load::start_at(&system.events, 2, Duration::ZERO, 12);
    let accepted = load.finish().await;
    eventually(AT_LAST, "12 dead letters", || async {
        (system.count(DEAD_LETTERS) == 12).then_some(())
    })
    .await;
    let listed = dead(&system, &["list"]).await;
    for id in &accepted {
        assert!(listed.contains(id.as_str()), "{id} in {listed}");
    }
    let discarded = dead(&system, &["discard", "--limit", "2"]).await;
    assert!(
        discarded.contains("2 of 2 dead letters discarded"),
        "{discarded}"
    );
    assert_eq!(system.count(DEAD_LETTERS), 10);
    works.store(true, Ordering::Relaxed);
    // Without the endpoint's queue, as after its removal from the settings, dead letters are kept.
    let change = |queues: &str| assert_eq!(system.data().execute(queues, []).unwrap(), 1);
    change("DELETE FROM queues WHERE name = 'wahook.deliver.default'");
    let settings = system.borrowed();
    let refused = Command::start(
        ProgramName::Standalone,
        &["dead", "redrive", "--all"],
        &settings,
    );
    let refused = refused.await.finish().await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let reason = "10 of an endpoint that has no queue";
    assert!(refused.stdout.contains(reason), "{refused:?}");
    assert_eq!(system.count(DEAD_LETTERS), 10);
    change("INSERT INTO queues VALUES ('wahook.deliver.default')");
    let redriven = dead(&system, &["redrive", "--all"]).await;
    assert!(
        redriven.contains("10 of 10 dead letters redriven"),
        "{redriven}"
    );
    assert_eq!(system.count(DEAD_LETTERS), 0);
    let posts = receiver.wait_for(22, AT_LAST).await;
    assert!(posts[12..].iter().all(|post| post.attempt() == Some(1)));
    let delivered = "SELECT count(*) FROM webhooklogs WHERE status = 'success' \
                     AND json_array_length(attempts) = 2";
    eventually(AT_LAST, "10 records of success", || async {
        (system.count(delivered) == 10).then_some(())
    })
    .await;
}
