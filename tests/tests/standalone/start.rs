//! Output at start: effective settings on request, and the banner of a terminal.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nix::pty::openpty;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::guard::Guarded;
use wahook_tests::ports::free_port;
use wahook_tests::program::{Command, ProgramName};
use wahook_tests::receiver::Receiver;

use crate::system::System;

const OPTION: &[&str] = &["--print-config"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn print_config_shows_effective_settings_redacted_and_starts_nothing() {
    let folder = RunFolder::temporary("start").unwrap();
    let data = folder.join("wahook.db");
    let path = data.display().to_string();
    let settings = [
        ("WAHOOK_DATA", path.as_str()),
        ("WEBHOOK_URL", "https://user:hidden@example.com/hook"),
        ("WEBHOOK_SECRET", "also-hidden"),
        ("WEBHOOK_TIMOUT", "1"),
    ];
    let ran = Command::start(ProgramName::Standalone, OPTION, &settings).await;
    let ran = ran.finish().await;
    let lines: Vec<_> = ran.printed().lines().collect();
    for line in [
        format!("WAHOOK_DATA={path}"),
        "WEBHOOK_SECRET=[redacted]".to_owned(),
        "WEBHOOK_TIMEOUT=30000".to_owned(),
        "PRODUCER_TOKEN=(not set)".to_owned(),
    ] {
        assert!(lines.contains(&line.as_str()), "{line}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("hidden"), "{}", ran.stdout);
    assert!(ran.stderr.contains("WEBHOOK_TIMOUT"), "{}", ran.stderr);
    assert!(!data.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn print_config_names_faults_and_fails() {
    let settings = [("WEBHOOK_URL", "example.com")];
    let ran = Command::start(ProgramName::Standalone, OPTION, &settings).await;
    let ran = ran.finish().await;
    assert_eq!(ran.status.code(), Some(2));
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("WEBHOOK_URL"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_trusted_certificates_are_an_error_at_start() {
    let folder = RunFolder::temporary("start").unwrap();
    let missing = folder.join("missing.pem").display().to_string();
    let empty = folder.join("empty.pem");
    fs::write(&empty, "no certificate\n").unwrap();
    let empty = empty.display().to_string();
    for file in [&missing, &empty] {
        let settings = [
            ("WEBHOOK_URL", "https://example.com/hook"),
            ("SSL_CERT_FILE", file.as_str()),
        ];
        let ran = Command::start(ProgramName::Standalone, &[], &settings).await;
        let ran = ran.finish().await;
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
        assert!(ran.stderr.contains("SSL_CERT_FILE"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_logs_no_settings() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let program = system.start().await;
    let log = program.stderr_so_far();
    assert!(!log.contains("WEBHOOK_RETRY_DELAY"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn banner_is_printed_on_a_terminal() {
    let folder = RunFolder::temporary("start").unwrap();
    let program = ProgramName::Standalone.executable().unwrap();
    let listens: Vec<_> = (0..4)
        .map(|_| format!("127.0.0.1:{}", free_port().unwrap()))
        .collect();
    let terminal = openpty(None, None).unwrap();
    let _process = Guarded::spawn(program, |command| {
        command
            .current_dir(folder.path())
            .env_remove("WEBHOOK_URL")
            .env("PRODUCER_LISTEN", &listens[0])
            .env("CONSUMER_LISTEN", &listens[1])
            .env("RECEIVER_ADDRESS", &listens[2])
            .env("CONSOLE_LISTEN", &listens[3])
            .stdout(terminal.slave)
            .stderr(Stdio::null());
    })
    .unwrap();
    let screen = BufReader::new(File::from(terminal.master));
    // Ends with the process: reading then fails.
    let read = spawn_blocking(|| {
        let lines = screen.lines().map_while(Result::ok);
        let mut shown = Vec::new();
        for line in lines {
            let is_last = line.contains("curl -i");
            shown.push(line);
            if is_last {
                break;
            }
        }
        shown.join("\n")
    });
    let text = timeout(AT_LAST, read).await.unwrap().unwrap();
    let curl = format!("curl -i http://{}/v1/events", listens[0]);
    assert!(text.contains(&curl), "{text}");
    for page in &listens[2..] {
        assert!(text.contains(&format!("http://{page}/")), "{text}");
    }
}
