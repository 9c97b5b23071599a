//! `import`: sources, patience, interruption and continuation.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{self, Stdio};

use flate2::{Compression, write::GzEncoder};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::pair::Pair;
use wahook_tests::program::{Command, Program, ProgramName};
use wahook_tests::receiver::Receiver;

use crate::import_killed::line;
use crate::world::{Test, Tests};
use crate::{assert_status, run, start};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("an_import_waits_until_the_producer_accepts_events", waits);
    tests.add("an_import_out_of_patience_says_how_to_continue", gives_up);
    tests.add(
        "compressed_files_and_standard_input_are_imported",
        packed_and_piped,
    );
    tests.add("an_interrupted_import_can_be_continued", interrupted);
}

fn lines(range: std::ops::Range<u64>) -> String {
    range.map(|n| line(n) + "\n").collect()
}

fn ids(receiver: &Receiver) -> BTreeSet<String> {
    let posts = receiver.posts();
    posts
        .iter()
        .map(|post| post.id().unwrap().to_owned())
        .collect()
}

async fn waits(test: Test) {
    let place = test.place();
    let producer = Program::producer(&[("AMQP_URL", &place.amqp_url)]).await;
    producer.wait_ready(AT_LAST).await;
    let folder = RunFolder::temporary("import").unwrap();
    let file = folder.join("events.ndjson");
    fs::write(&file, lines(0..300)).unwrap();
    let url = producer.base_url();
    let arguments = ["import", file.to_str().unwrap(), "--url", &url];
    let import = Command::start(ProgramName::Standalone, &arguments, &[]).await;
    let refused = |metrics: &wahook_tests::program::Metrics| {
        metrics.sum("wahook_events_refused_total") >= 300.0
    };
    producer
        .wait_metrics("a first attempt", AT_LAST, refused)
        .await;

    let pair = test.pair(Receiver::start().await, &[]).await;
    let ran = import.finish().await;
    assert!(ran.printed().starts_with("300 lines accepted"), "{ran:?}");
    pair.receiver.wait_for(300, AT_LAST).await;
    assert_eq!(ids(&pair.receiver).len(), 300);
}

async fn gives_up(test: Test) {
    let place = test.place();
    let producer = Program::producer(&[("AMQP_URL", &place.amqp_url)]).await;
    producer.wait_ready(AT_LAST).await;
    let folder = RunFolder::temporary("import").unwrap();
    let file = folder.join("events.ndjson");
    fs::write(&file, lines(0..3)).unwrap();
    let url = producer.base_url();
    let arguments = [
        "import",
        file.to_str().unwrap(),
        "--url",
        &url,
        "--patience",
        "1s",
    ];
    let ran = Command::start(ProgramName::Standalone, &arguments, &[])
        .await
        .finish()
        .await;
    assert_status(&ran, 2);
    for expected in [
        "run the same command to continue",
        "--patience",
        "503 The event was not accepted",
        "start a consumer",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}: {ran:?}");
    }
}

async fn packed_and_piped(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let folder = RunFolder::temporary("import").unwrap();
    let file = folder.join("events.ndjson.gz");
    let path = file.to_str().unwrap();
    let pack = |text: String| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    fs::write(&file, pack(lines(0..100))).unwrap();
    run(&pair, &["import", path]).await.printed();
    // The same command imports lines appended to the file.
    let mut longer = OpenOptions::new().append(true).open(&file).unwrap();
    longer
        .write_all(&pack("\n".to_owned() + &lines(100..150)))
        .unwrap();
    let ran = run(&pair, &["import", path]).await;
    assert!(ran.printed().starts_with("150 lines accepted"), "{ran:?}");
    assert!(
        ran.printed().ends_with("; 100 of all in earlier runs\n"),
        "{ran:?}"
    );
    pair.receiver.wait_for(150, AT_LAST).await;
    assert_eq!(ids(&pair.receiver).len(), 150);

    let piped = pipe(&pair, lines(300..400)).await;
    assert!(piped.status.success(), "{piped:?}");
    assert_eq!(
        String::from_utf8_lossy(&piped.stdout),
        "100 lines accepted\n"
    );
    pair.receiver.wait_for(250, AT_LAST).await;
    assert_eq!(ids(&pair.receiver).len(), 250);

    // Another file of the same name is not a continuation.
    fs::write(&file, pack(lines(150..400))).unwrap();
    let other = run(&pair, &["import", path]).await;
    assert_status(&other, 2);
    assert!(other.stderr.contains("with --restart"), "{other:?}");
    let restarted = run(&pair, &["import", path, "--restart"]).await;
    assert!(
        restarted.printed().starts_with("250 lines accepted"),
        "{restarted:?}"
    );
}

async fn pipe(pair: &Pair, text: String) -> process::Output {
    let url = pair.producer.base_url();
    let piped = tokio::task::spawn_blocking(move || {
        let program = ProgramName::Standalone.executable().unwrap();
        let mut child = process::Command::new(program)
            .args(["import", "-", "--url", &url])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    });
    piped.await.unwrap()
}

async fn interrupted(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let folder = RunFolder::temporary("import").unwrap();
    let file = folder.join("events.ndjson");
    fs::write(&file, lines(0..1_000)).unwrap();
    let path = file.to_str().unwrap();
    let import = start(&pair, &["import", path, "--rate", "100"]).await;
    pair.receiver.wait_for(1, AT_LAST).await;
    import.interrupt();
    let ran = import.finish().await;
    assert_status(&ran, 2);
    assert!(
        ran.stderr
            .contains("run the same command to continue: stopped"),
        "{ran:?}"
    );
    let ran = run(&pair, &["import", path]).await;
    assert!(
        ran.printed().starts_with("1000 lines accepted; "),
        "{ran:?}"
    );
    pair.receiver.wait_for(1_000, AT_LAST).await;
    assert_eq!(ids(&pair.receiver).len(), 1_000);
}
