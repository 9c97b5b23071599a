//! Invalid settings: all are reported at once, with exit status 2, before any connection.

use std::time::Duration;

use tokio::net::TcpListener;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::program::{Program, ProgramName};

use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "all_invalid_settings_are_reported_at_once_with_exit_status_2",
        faulty,
    );
}

async fn faulty(_: Test) {
    // Listener in place of a broker, to detect a connection.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = format!("amqp://{}", listener.local_addr().unwrap());
    let consumer = [
        ("AMQP_URL", broker.as_str()),
        ("WEBHOOK_URL", "http://example.com/hook"),
        ("WEBHOOK_RETRY_ATTEMPTS", "11"),
        ("WEBHOOK_RETRY_DELAY", "five seconds"),
        ("CONSUMER_LISTEN", "9091"),
    ];
    let named = [
        "WEBHOOK_URL",
        "WEBHOOK_RETRY_ATTEMPTS",
        "WEBHOOK_RETRY_DELAY",
        "MONGODB_URI",
        "CONSUMER_LISTEN",
    ];
    refuses(ProgramName::Consumer, &consumer, &named).await;
    let producer = [
        ("AMQP_URL", broker.as_str()),
        ("PRODUCER_LISTEN", "0.0.0.0:0"),
        ("PRODUCER_VALIDATION", "x"),
    ];
    refuses(
        ProgramName::Producer,
        &producer,
        &["PRODUCER_TOKEN", "PRODUCER_VALIDATION"],
    )
    .await;
    refuses(ProgramName::Producer, &[], &["AMQP_URL"]).await;
    let connected = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(
        connected.is_err(),
        "a program with invalid settings connected"
    );
}

async fn refuses(name: ProgramName, settings: &[(&str, &str)], named: &[&str]) {
    let program = Program::launch(name, settings).await;
    let status = program.wait_exit(AT_LAST).await;
    assert_eq!(status.code(), Some(2));
    let stderr = program.stderr_so_far();
    for variable in named {
        let line = stderr
            .lines()
            .find(|line| line.contains(&format!("{variable} ")));
        let line = line.unwrap_or_else(|| panic!("{variable} is not reported in:\n{stderr}"));
        assert!(line.contains(&format!("for example {variable}=")), "{line}");
    }
}
