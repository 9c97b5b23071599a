//! The OpenAPI document is what the producer does: Schemathesis, a program that others wrote,
//! makes requests from it, right and wrong ones, and holds each answer against it.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use wahook_tests::folder::RunFolder;
use wahook_tests::guard::Guarded;
use wahook_tests::receiver::Receiver;
use wahook_tests::workspace;

use crate::world::{Test, Tests};

const TOKEN: &str = "a-token-of-good-length";
/// Several times as long as it takes.
const DONE_WITHIN: Duration = Duration::from_secs(300);

pub(crate) fn add(tests: &mut Tests) {
    tests.add("schemathesis_finds_no_mismatch", conforms);
}

async fn conforms(test: Test) {
    let settings = [("PRODUCER_TOKEN", TOKEN)];
    let pair = test.pair(Receiver::start().await, &settings).await;
    let folder = workspace().join(".local/schemathesis");
    assert!(folder.is_dir(), "run `make install` first: {folder:?}");
    // It writes what it found into its working folder, and reads it the next time.
    let run = RunFolder::temporary("schemathesis").unwrap();
    let document = format!("{}/openapi.json", pair.producer.base_url());
    let authorization = format!("Authorization: Bearer {TOKEN}");
    let mut schemathesis = Guarded::spawn("python3", |command| {
        command
            .args([
                "-c",
                "from schemathesis.cli import schemathesis; schemathesis()",
            ])
            .args(["run", &document, "--header", &authorization, "--no-color"])
            .args(["--checks", "all", "--phases", "examples,coverage,fuzzing"])
            .args(["--max-examples", "60", "--generation-deterministic"])
            .args(["--continue-on-failure"])
            .env("PYTHONPATH", &folder)
            .current_dir(run.path())
            .stdout(Stdio::piped());
    })
    .unwrap();
    let mut stdout = schemathesis.take_stdout().unwrap();
    let story = tokio::task::spawn_blocking(move || {
        let mut story = String::new();
        stdout.read_to_string(&mut story).map(|_| story)
    });
    let status = schemathesis.wait_within(DONE_WITHIN).await.unwrap();
    let story = story.await.unwrap().unwrap();
    assert!(status.success(), "{story}");
    // It can also succeed by not testing: there are four operations, beside the document
    // itself, which it does not count.
    assert!(story.contains("4 selected / 4 total"), "{story}");
    let said = pair.producer.stderr_so_far();
    assert!(
        !said.contains("panicked") && !said.contains("ERROR"),
        "{said}"
    );
}
