//! `send` and `samples`: output and exit status.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use wahook_domain::{KnownEvent, samples};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::ports::free_port;
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::receiver::Receiver;

use crate::world::{Test, Tests};
use crate::{assert_status, run};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("send_prints_only_the_id_of_the_event", sent);
    tests.add(
        "a_refused_event_is_reported_with_each_error_and_status_1",
        refused,
    );
    tests.add(
        "an_unknown_result_has_status_2_and_says_how_to_repeat",
        unknown_result,
    );
    tests.add(
        "a_token_comes_from_the_environment_a_file_or_an_option",
        token,
    );
    tests.add("every_sample_is_delivered_each_time", all_samples);
}

async fn sent(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let ran = run(&pair, &["send", "call", "--data", r#"{"id":"a", "n":1.0}"#]).await;
    let id = ran.printed().trim_end();
    assert!(
        ran.stderr.contains("warning: /data/from is missing\n"),
        "{ran:?}"
    );
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].id(), Some(id));
    assert!(
        posts[0]
            .body
            .starts_with(br#"{"event":"call","data":{"id":"a","n":1},"timestamp":""#)
    );

    let folder = RunFolder::temporary("send").unwrap();
    let file = folder.join("data.json");
    fs::write(&file, r#"{"session":"shop"}"#).unwrap();
    let from_file = [
        "send",
        "authenticated",
        "--file",
        file.to_str().unwrap(),
        "--id",
        "order-7",
        "--timestamp",
        "2024-10-01T12:00:00.000Z",
    ];
    let ran = run(&pair, &from_file).await;
    assert_eq!((ran.printed(), ran.stderr.as_str()), ("order-7\n", ""));
    let posts = pair.receiver.wait_for(2, AT_LAST).await;
    assert_eq!(
        posts[1].body.as_ref(),
        br#"{"event":"authenticated","data":{"session":"shop"},"timestamp":"2024-10-01T12:00:00.000Z"}"#
    );
    let again = run(&pair, &from_file).await;
    assert_eq!(again.printed(), "order-7\n");
    assert!(again.stderr.contains("accepted before"), "{again:?}");
}

async fn refused(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let ran = run(&pair, &["send", "call", "--data", "[]"]).await;
    assert_status(&ran, 1);
    let expected = "wahook send: rejected: 422 The JSON is not an event: see errors: each has a \
                    JSON pointer and what was expected there\n  /data must be an object, is an array\n";
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", expected));
    for (arguments, expected) in [
        (["send", "Call"].as_slice(), "must match [a-z]"),
        (&["send", "call", "--data", "{,}"], "not JSON: expected"),
        (
            &["send", "call", "--id", "a b"],
            "must match [A-Za-z0-9_-]{1,128}",
        ),
        (
            &["send", "call", "--url", "localhost:8080"],
            "not an address such as",
        ),
        (
            &["send", "call", "--file", "/nonexistent"],
            "/nonexistent: No such file",
        ),
    ] {
        let ran = run(&pair, arguments).await;
        assert_status(&ran, 2);
        assert!(ran.stderr.contains(expected), "{ran:?}");
    }
    assert_eq!(pair.receiver.count(), 0);
}

async fn unknown_result(test: Test) {
    // Without a consumer no event can be accepted.
    let place = test.place();
    let producer = Program::producer(&[("AMQP_URL", &place.amqp_url)]).await;
    producer.wait_ready(AT_LAST).await;
    let ran = send(&["--url", &producer.base_url(), "--id", "a"], &[]).await;
    assert_status(&ran, 2);
    assert!(
        ran.stderr.contains("503 The event was not accepted: "),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("with --id a to retry"), "{ran:?}");

    let unreachable = format!("http://user:hunter2@127.0.0.1:{}", free_port().unwrap());
    let ran = send(&["--url", &unreachable], &[]).await;
    assert_status(&ran, 2);
    assert!(ran.stderr.contains("Connection refused"), "{ran:?}");
    assert!(
        ran.stderr.contains("the same command with --id 0"),
        "{ran:?}"
    );
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
}

async fn token(test: Test) {
    const TOKEN: &str = "a-token-of-good-length";
    let place = test.place();
    let settings = [
        ("AMQP_URL", place.amqp_url.as_str()),
        ("PRODUCER_TOKEN", TOKEN),
    ];
    let producer = Program::producer(&settings).await;
    producer.wait_ready(AT_LAST).await;
    let url = producer.base_url();
    let without = send(&["--url", &url], &[]).await;
    assert_status(&without, 1);
    assert!(
        without.stderr.contains("401 A token is needed: "),
        "{without:?}"
    );

    let folder = RunFolder::temporary("token").unwrap();
    let file = folder.join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let file = file.to_str().unwrap();
    for (arguments, settings) in [
        (["--url", url.as_str()].as_slice(), ("WAHOOK_TOKEN", TOKEN)),
        (&["--url", &url], ("WAHOOK_TOKEN_FILE", file)),
        (
            &["--url", &url, "--token", TOKEN],
            ("WAHOOK_TOKEN", "another"),
        ),
    ] {
        // The token is accepted; the event is refused because no endpoint is declared.
        let ran = send(arguments, &[settings]).await;
        assert_status(&ran, 2);
        assert!(ran.stderr.contains("start a consumer"), "{ran:?}");
    }
}

async fn send(arguments: &[&str], settings: &[(&str, &str)]) -> Ran {
    let arguments = [&["send", "call"], arguments].concat();
    let command = Command::start(ProgramName::Standalone, &arguments, settings).await;
    command.finish().await
}

async fn all_samples(test: Test) {
    let strict = [("PRODUCER_VALIDATION", "strict")];
    let pair = test.pair(Receiver::start().await, &strict).await;
    let ids: Vec<String> = {
        let mut ids = Vec::new();
        for _ in 0..2 {
            let ran = run(&pair, &["samples"]).await;
            let lines = ran.printed().lines();
            ids.extend(lines.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()));
        }
        ids
    };
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 26);
    let posts = pair.receiver.wait_for(26, AT_LAST).await;
    for sample in samples() {
        let times = posts.iter().filter(|post| post.body == sample.as_bytes());
        assert_eq!(times.count(), 2, "{sample}");
    }
    let listed = run(&pair, &["samples", "--list", "ready", "call"]).await;
    let lines: Vec<Value> = listed
        .printed()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["event"], &lines[1]["event"]),
        (&json!("ready"), &json!("call"))
    );
    let unknown = run(&pair, &["samples", "qr"]).await;
    assert_status(&unknown, 2);
    for known in KnownEvent::ALL {
        assert!(unknown.stderr.contains(known.as_str()), "{unknown:?}");
    }
    assert_eq!(pair.receiver.count(), 26);
}
