//! Refused lines are saved and do not stop the import.

use std::fs;

use serde_json::{Value, json};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::receiver::Receiver;

use crate::world::{Test, Tests};
use crate::{assert_status, run};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "refused_lines_are_saved_with_their_numbers_and_reasons",
        written,
    );
    tests.add("a_batch_that_is_too_large_is_sent_in_parts", in_parts);
    tests.add("a_refused_import_sends_nothing_and_says_why", whole);
}

fn read(path: &std::path::Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn written(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let folder = RunFolder::temporary("import").unwrap();
    let file = folder.join("events.ndjson");
    let text =
        "{\"event\":\"a\"}\n\n{\"event\":\"b\",}\n  \n{\"event\":7,\"data\":[]}\n{\"event\":\"c\"}";
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    for run_number in 1..=2 {
        let ran = run(&pair, &["import", path]).await;
        assert_status(&ran, 1);
        let expected = format!("2 lines accepted, 2 rejected (see {path}.refused)");
        assert!(ran.stdout.starts_with(&expected), "{run_number}: {ran:?}");
        let refused = read(&folder.join("events.ndjson.refused"));
        assert_eq!(refused.len(), 2, "{run_number}");
        assert_eq!(
            (&refused[0]["line"], &refused[0]["status"]),
            (&json!(3), &json!(400))
        );
        assert_eq!(refused[0]["text"], "{\"event\":\"b\",}");
        assert_eq!(
            (&refused[1]["line"], &refused[1]["status"]),
            (&json!(5), &json!(422))
        );
        assert_eq!(refused[1]["errors"][0]["pointer"], "/event");
        assert_eq!(refused[1]["errors"][1]["pointer"], "/data");
    }
    pair.receiver.wait_for(2, AT_LAST).await;
    let accepted = pair
        .producer
        .metrics()
        .await
        .sum("wahook_events_accepted_total");
    assert_eq!(accepted, 2.0, "lines were sent twice");
}

async fn in_parts(test: Test) {
    let small = [("PRODUCER_MAX_BODY_BYTES", "2048")];
    let pair = test.pair(Receiver::start().await, &small).await;
    let folder = RunFolder::temporary("import").unwrap();
    let file = folder.join("events.ndjson");
    let line = |n: usize| {
        let text = "x".repeat(if n == 150 { 3_000 } else { 100 });
        format!("{{\"event\":\"test\",\"data\":{{\"n\":{n},\"text\":\"{text}\"}}}}\n")
    };
    fs::write(&file, (0..300).map(line).collect::<String>()).unwrap();
    let ran = run(&pair, &["import", file.to_str().unwrap()]).await;
    assert_status(&ran, 1);
    assert!(
        ran.stdout.starts_with("299 lines accepted, 1 rejected"),
        "{ran:?}"
    );
    let refused = read(&folder.join("events.ndjson.refused"));
    assert_eq!(
        (&refused[0]["line"], &refused[0]["status"]),
        (&json!(151), &json!(413))
    );
    pair.receiver.wait_for(299, AT_LAST).await;
}

async fn whole(test: Test) {
    let token = [("PRODUCER_TOKEN", "a-token-of-good-length")];
    let pair = test.pair(Receiver::start().await, &token).await;
    let folder = RunFolder::temporary("import").unwrap();
    let file = folder.join("events.ndjson");
    fs::write(&file, "{\"event\":\"a\"}\n").unwrap();
    let ran = run(&pair, &["import", file.to_str().unwrap()]).await;
    assert_status(&ran, 2);
    assert!(
        ran.stderr
            .contains("rejects the import: 401 A token is needed"),
        "{ran:?}"
    );
    let path = file.to_str().unwrap();
    let with_token = ["import", path, "--token", "a-token-of-good-length"];
    run(&pair, &with_token).await.printed();
    pair.receiver.wait_for(1, AT_LAST).await;
    let missing = run(&pair, &["import", "/nonexistent"]).await;
    assert_status(&missing, 2);
    assert!(missing.stderr.contains("/nonexistent"), "{missing:?}");
}
