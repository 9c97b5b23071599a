//! Permissions, owner and origin of the data file.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::Duration;

use nix::unistd::Uid;
use rusqlite::Connection;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::load::Load;
use wahook_tests::ports::free_port;
use wahook_tests::program::{Program, ProgramName};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const FILES: [&str; 4] = [
    "wahook.db",
    "wahook.db-wal",
    "wahook.db-shm",
    "wahook.db.lock",
];
/// User id without a name.
const STRANGER: u32 = 54_321;

fn mode(system: &System, name: &str) -> u32 {
    let found = fs::metadata(system.path(name)).unwrap();
    found.permissions().mode() & 0o777
}

/// Starts the program and returns the log of its refusal.
async fn refusal(system: &System) -> String {
    let program = Program::launch(ProgramName::Standalone, &system.borrowed()).await;
    let status = program.wait_exit(AT_LAST).await;
    assert_eq!(status.code(), Some(1), "{}", program.stderr_so_far());
    program.stderr_so_far()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_user_can_open_any_of_the_four_files() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let program = system.start().await;
    for name in FILES {
        assert_eq!(mode(&system, name), 0o600, "{name}");
    }
    program.kill9().await;
    // The files of an earlier version, after a crash.
    for name in FILES {
        fs::set_permissions(system.path(name), Permissions::from_mode(0o644)).unwrap();
    }
    let program = system.start().await;
    for name in FILES {
        assert_eq!(mode(&system, name), 0o600, "{name}");
        let path = system.path(name).display().to_string();
        let log = program.stderr_so_far();
        let is_of_file = |line: &str| {
            let rest = line.split_once(&path).map(|(_, rest)| rest);
            rest.is_some_and(|rest| !rest.starts_with(['-', '.']))
        };
        let mut lines = log
            .lines()
            .filter(|line| line.contains("mode 644 reduced to 600"));
        assert!(lines.any(is_of_file), "{name}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_file_of_another_user_is_refused() {
    let receiver = Receiver::start().await;
    let mut system = System::new(&receiver, &[]);
    let path = if Uid::effective().is_root() {
        system.start().await.kill9().await;
        chown(system.path("wahook.db"), Some(STRANGER), None).unwrap();
        system.path("wahook.db")
    } else {
        "/etc/passwd".into()
    };
    let before = fs::read(&path).unwrap();
    let setting = ("WAHOOK_DATA".to_owned(), path.display().to_string());
    system.settings.push(setting);
    let log = refusal(&system).await;
    assert!(log.contains("it belongs to user"), "{log}");
    assert!(log.contains("chown"), "{log}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_file_that_is_a_link_is_refused() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let target = system.path("mine");
    fs::write(&target, "mine").unwrap();
    fs::set_permissions(&target, Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink(&target, system.path("wahook.db.lock")).unwrap();
    let log = refusal(&system).await;
    assert!(log.contains("it is a symbolic link"), "{log}");
    assert_eq!(mode(&system, "mine"), 0o644);
    assert!(!system.path("wahook.db").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_file_of_another_program_is_refused_and_unchanged() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let path = system.path("wahook.db");
    let notes = "CREATE TABLE notes (text); INSERT INTO notes VALUES ('keep')";
    Connection::open(&path)
        .unwrap()
        .execute_batch(notes)
        .unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let before = fs::read(&path).unwrap();
    let log = refusal(&system).await;
    assert!(log.contains("SQLite file of another program"), "{log}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(mode(&system, "wahook.db"), 0o644);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_for_a_webhook_are_not_delivered_to_the_test_receiver() {
    let receiver = Receiver::answering(|_| Answer::status(500)).await;
    let mut system = System::new(&receiver, &[("WEBHOOK_RETRY_DELAY", "300000")]);
    let program = system.start().await;
    let load = Load::start_at(&system.events, 1, Duration::ZERO, 1);
    load.finish().await;
    receiver.wait_for(1, AT_LAST).await;
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
    // The name is misspelt.
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    for (name, _) in &mut system.settings {
        if name == "WEBHOOK_URL" {
            "WEBHOOK_ULR".clone_into(name);
        }
    }
    system
        .settings
        .push(("RECEIVER_ADDRESS".to_owned(), address));
    let log = refusal(&system).await;
    for expected in [
        "holds 1 undelivered events",
        &receiver.url(),
        "WEBHOOK_URL",
        "WEBHOOK_ULR",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    assert_eq!(system.count("SELECT count(*) FROM waiting"), 1);
    // Without events in the file, the test receiver is fine.
    system.data().execute("DELETE FROM waiting", []).unwrap();
    let _program = Program::launch(ProgramName::Standalone, &system.borrowed()).await;
    let ready = || async {
        let answer = http_client()
            .unwrap()
            .get(format!("{}/readyz", system.events));
        answer
            .send()
            .await
            .ok()
            .filter(|answer| answer.status().is_success())
    };
    eventually(AT_LAST, "a start with the test receiver", ready).await;
}
