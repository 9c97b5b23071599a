//! Damaged data file: events are refused instead of accepted and never delivered.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;
use rusqlite::Connection;
use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const PAGE: usize = 4_096;

async fn post(system: &System, bytes: usize) -> StatusCode {
    let event = json!({"event": "call", "data": {"text": "x".repeat(bytes)}});
    let request = http_client()
        .unwrap()
        .post(format!("{}/v1/events", system.events));
    request
        .header("content-type", "application/json")
        .body(event.to_string())
        .send()
        .await
        .unwrap()
        .status()
}

async fn check(path: &Path, options: &[&str]) -> Ran {
    let arguments = [&["check", path.to_str().unwrap()], options].concat();
    let command = Command::start(ProgramName::Standalone, &arguments, &[]);
    command.await.finish().await
}

/// Overwrites pages of the file, numbered from 1.
fn overwrite(path: &Path, pages: impl Iterator<Item = usize>) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    for page in pages {
        let offset = (page - 1) * PAGE;
        file.write_all_at(&[0xA5; PAGE], offset as u64).unwrap();
    }
}

/// Returns the first leaf page of a table whose root is an interior page: its number is in the
/// first cell.
fn first_leaf(path: &Path, table: &str) -> usize {
    let data = Connection::open(path).unwrap();
    let query = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
    let root: u32 = data.query_row(query, [table], |row| row.get(0)).unwrap();
    let root = root as usize;
    let file = std::fs::read(path).unwrap();
    let page = &file[(root - 1) * PAGE..root * PAGE];
    assert_eq!(page[0], 5, "{table} has one page only");
    let cell = usize::from(u16::from_be_bytes([page[12], page[13]]));
    u32::from_be_bytes(page[cell..cell + 4].try_into().unwrap()) as usize
}

/// Waits until events are refused, readiness names the reason, and the log says what to do.
async fn assert_refusing(system: &System, program: &Program) {
    let (url, http) = (format!("{}/readyz", system.events), http_client().unwrap());
    eventually(AT_LAST, "damage as the reason", || async {
        // Some requests meet the damage; before, 503 can mean that the endpoints are not declared.
        post(system, 10).await;
        let ready = http.get(&url).send().await.ok()?;
        let is_refused = ready.status() == StatusCode::SERVICE_UNAVAILABLE;
        let reasons = ready.text().await.ok()?;
        (is_refused && reasons.contains("the data file is damaged")).then_some(())
    })
    .await;
    let log = program.wait_logged("data file damaged").await;
    let lines = log
        .lines()
        .filter(|line| line.contains("data file damaged"));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("run `wahook check`"), "{log}");
    // Not accepted again at the next request.
    assert_eq!(post(system, 10).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_overwritten_before_the_start_refuses_events_and_is_found_by_check() {
    let receiver = Receiver::answering(|_| Answer::silence()).await;
    let system = System::new(&receiver, &[("SHUTDOWN_GRACE", "0")]);
    let program = system.start().await;
    for _ in 0..40 {
        assert_eq!(post(&system, 1_000).await, StatusCode::ACCEPTED);
    }
    let path = system.path("wahook.db");
    let running = check(&path, &[]).await;
    assert!(running.printed().contains("is intact"), "{running:?}");
    program.kill9().await;
    system
        .data()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    for options in [&[][..], &["--quick"]] {
        let intact = check(&path, options).await;
        assert!(intact.printed().contains("is intact"), "{intact:?}");
    }
    overwrite(&path, std::iter::once(first_leaf(&path, "messages")));
    for options in [&[][..], &["--quick"]] {
        let damaged = check(&path, options).await;
        assert_eq!(damaged.status.code(), Some(1), "{damaged:?}");
        assert!(
            damaged.stdout.contains("is damaged: stop wahook"),
            "{damaged:?}"
        );
    }
    let program = Program::standalone(&system.borrowed()).await;
    assert_refusing(&system, &program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_overwritten_under_a_running_process_refuse_events() {
    let works = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::answering({
        let works = Arc::clone(&works);
        move |_| {
            if works.load(Ordering::Relaxed) {
                Answer::status(200)
            } else {
                Answer::silence()
            }
        }
    });
    let receiver = receiver.await;
    let settings = [("WEBHOOK_TIMEOUT", "1000"), ("WEBHOOK_CIRCUIT", "off")];
    let system = System::new(&receiver, &settings);
    let program = system.start().await;
    // More than the messages and pages that are kept in memory, and than the write-ahead log.
    for _ in 0..200 {
        assert_eq!(post(&system, 300_000).await, StatusCode::ACCEPTED);
    }
    let path = system.path("wahook.db");
    let pages = std::fs::metadata(&path).unwrap().len() as usize / PAGE;
    assert!(pages > 8_000, "{pages}");
    overwrite(&path, 4_000..=pages);
    works.store(true, Ordering::Relaxed);
    assert_refusing(&system, &program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_database_is_refused_with_advice() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let path = system.path("wahook.db");
    std::fs::write(&path, [0xA5; 3 * PAGE]).unwrap();
    let program = Program::launch(ProgramName::Standalone, &system.borrowed()).await;
    assert_eq!(program.wait_exit(AT_LAST).await.code(), Some(1));
    let log = program.stderr_so_far();
    assert!(log.contains("run `wahook check`"), "{log}");
    assert_eq!(std::fs::read(&path).unwrap(), [0xA5; 3 * PAGE]);
    assert_eq!(check(&path, &[]).await.status.code(), Some(1));
    let missing = check(&system.path("missing"), &[]).await;
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
}
