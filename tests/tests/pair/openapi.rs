//! Conformance of producer and console to their OpenAPI documents: Schemathesis generates valid and invalid
//! requests and checks each answer against the document.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::guard::Guarded;
use wahook_tests::program::Program;
use wahook_tests::receiver::Receiver;
use wahook_tests::workspace;

use crate::world::{Test, Tests};

const TOKEN: &str = "a-token-of-good-length";
/// Only ends a run that hangs: the number of requests is limited, and a busy machine needs
/// minutes for them.
const RUN_LIMIT: Duration = Duration::from_secs(15 * 60);

pub(crate) fn add(tests: &mut Tests) {
    tests.add("schemathesis_finds_no_mismatch", conforms);
    tests.add(
        "schemathesis_finds_no_mismatch_of_the_console",
        console_conforms,
    );
}

/// A valid event is answered 422 if its Idempotency-Key is that of another one, and 405 if the
/// source is not one of Meta. Other sources than this one would be answered 404.
const EXPECTED: &str = r#"
[parameters]
"path.source" = "wahook"

[checks]
positive_data_acceptance.expected-statuses = [
    "2xx", "3xx", 401, 403, 404, 405, 409, 422, 429, "5xx",
]
"#;

/// Texts of the right type may have another form, such as that of a time. On a busy machine, a
/// search, or a read of dead letters beside a job, can reach its time limit, which is answered 503.
const EXPECTED_OF_CONSOLE: &str = r#"
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 429, "5xx"]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]
"#;

/// Tests all operations of a document of `program`, and returns the report.
async fn check(program: &Program, document: &str, arguments: &[&str], expected: &str) -> String {
    let folder = workspace().join(".local/schemathesis");
    assert!(folder.is_dir(), "run `make install` first: {folder:?}");
    // Schemathesis keeps its findings in the working folder and reads them in the next run.
    let run = RunFolder::temporary("schemathesis").unwrap();
    std::fs::write(run.join("schemathesis.toml"), expected).unwrap();
    let mut schemathesis = Guarded::spawn("python3", |command| {
        command
            .args([
                "-c",
                "from schemathesis.cli import schemathesis; schemathesis()",
            ])
            .args(["run", document, "--no-color"])
            .args(["--checks", "all", "--phases", "examples,coverage,fuzzing"])
            .args(["--generation-deterministic", "--continue-on-failure"])
            // Limits of time, which a busy machine exceeds.
            .args([
                "--request-timeout",
                "60",
                "--suppress-health-check",
                "too_slow",
            ])
            .args(arguments)
            .env("PYTHONPATH", &folder)
            .current_dir(run.path())
            .stdout(Stdio::piped());
    })
    .unwrap();
    let mut stdout = schemathesis.take_stdout().unwrap();
    let output = tokio::task::spawn_blocking(move || {
        let mut output = String::new();
        stdout.read_to_string(&mut output).map(|_| output)
    });
    let status = schemathesis.wait_within(RUN_LIMIT).await.unwrap();
    let output = output.await.unwrap().unwrap();
    assert!(status.success(), "{output}\n{}", program.stderr_so_far());
    output
}

async fn conforms(test: Test) {
    let settings = [("PRODUCER_TOKEN", TOKEN)];
    let pair = test.pair(Receiver::start().await, &settings).await;
    let document = format!("{}/openapi.json", pair.producer.base_url());
    let authorization = format!("Authorization: Bearer {TOKEN}");
    let arguments = ["--header", &authorization, "--max-examples", "60"];
    let output = check(&pair.producer, &document, &arguments, EXPECTED).await;
    // A run without tests would succeed too. There are six operations; the document itself is
    // not counted.
    assert!(output.contains("6 selected / 6 total"), "{output}");
    let metrics = pair.producer.metrics().await;
    let of_source = [("source", "wahook")];
    assert!(metrics.sum_where("wahook_source_events_refused_total", &of_source) > 0.0);
    let stderr = pair.producer.stderr_so_far();
    assert!(
        !stderr.contains("panicked") && !stderr.contains("ERROR"),
        "{stderr}"
    );
}

/// The console has no token: after ten wrong ones, which Schemathesis would send, all are refused
/// for a minute.
async fn console_conforms(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let place = pair.place();
    let console = Program::console(&[
        ("AMQP_URL", place.amqp_url.as_str()),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
    ])
    .await;
    console.wait_ready(AT_LAST).await;
    pair.post(&serde_json::json!({ "event": "call", "data": {} }))
        .await
        .accepted_id();
    let document = format!("{}/api/v1/openapi.json", console.base_url());
    let arguments = [
        "--exclude-checks",
        "ignored_auth",
        "--exclude-path",
        "/api/v1/events/live",
        "--max-examples",
        "30",
    ];
    let output = check(&console, &document, &arguments, EXPECTED_OF_CONSOLE).await;
    assert!(output.contains("22 selected / 23 total"), "{output}");
    let stderr = console.stderr_so_far();
    assert!(!stderr.contains("panicked"), "{stderr}");
}
