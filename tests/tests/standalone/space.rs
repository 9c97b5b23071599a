//! Space of the data file, and its waiting events after a change of the clock.

use std::fs;
use std::path::Path;
use std::time::Duration;

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::load::Load;
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Receiver};

use crate::migration::FIXTURE;
use crate::system::System;

/// Value of `PRAGMA auto_vacuum` for incremental vacuum.
const INCREMENTAL: i64 = 2;

async fn compact(system: &System) -> Ran {
    let settings = system.borrowed();
    let arguments = ["check", "--compact"];
    let command = Command::start(ProgramName::Standalone, &arguments, &settings);
    command.await.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_can_return_space_and_an_older_one_after_compact() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let program = system.start().await;
    assert_eq!(system.count("PRAGMA auto_vacuum"), INCREMENTAL);
    let refused = compact(&system).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("in use by another wahook"),
        "{refused:?}"
    );
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());

    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(FIXTURE);
    fs::copy(fixture, system.path("wahook.db")).unwrap();
    let messages = system.count("SELECT count(*) FROM messages");
    assert_eq!(system.count("PRAGMA auto_vacuum"), 0);
    let fill = "CREATE TABLE fill AS SELECT zeroblob(4000000) AS body; DROP TABLE fill";
    system.data().execute_batch(fill).unwrap();
    let size = || fs::metadata(system.path("wahook.db")).unwrap().len();
    let before = size();
    let compacted = compact(&system).await;
    assert!(compacted.printed().contains("is intact"), "{compacted:?}");
    assert!(size() + 3_000_000 < before, "{before} to {}", size());
    assert_eq!(system.count("PRAGMA auto_vacuum"), INCREMENTAL);
    assert_eq!(system.count("SELECT count(*) FROM messages"), messages);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_between_stop_and_start_delays_no_retry() {
    let answers = Receiver::answering(|post| {
        Answer::status(if post.attempt() == Some(1) { 500 } else { 200 })
    });
    let receiver = answers.await;
    let system = System::new(&receiver, &[("WEBHOOK_RETRY_DELAY", "60000")]);
    let program = system.start().await;
    Load::start_at(&system.events, 1, Duration::ZERO, 1)
        .finish()
        .await;
    receiver.wait_for(1, AT_LAST).await;
    eventually(AT_LAST, "the retry", || async {
        (system.count("SELECT count(*) FROM waiting") == 1).then_some(())
    })
    .await;
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
    // For the next process the clock is an hour behind, and the delay was a second.
    let later = "UPDATE waiting SET due_at = due_at + 3600000, delay_ms = 1000";
    assert_eq!(system.data().execute(later, []).unwrap(), 1);
    let program = system.start().await;
    let posts = receiver.wait_for(2, AT_LAST).await;
    assert_eq!(posts[1].attempt(), Some(2));
    program.wait_logged("clock was set back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_retention_is_named_at_start() {
    const WARNING: &str = "LOG_RETENTION_DAYS is not set";
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    assert!(system.start().await.stderr_so_far().contains(WARNING));
    let system = System::new(&receiver, &[("LOG_RETENTION_DAYS", "90")]);
    assert!(!system.start().await.stderr_so_far().contains(WARNING));
}
