//! Receivers as users write them: Express with the documented verifier, and the Standard
//! Webhooks library, both in a real node.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;
use wahook_tests::guard::Guarded;
use wahook_tests::pair::SECRET;
use wahook_tests::receiver::Receiver;

use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("express_4_accepts_both_signatures", |test| {
        accepts(test, "express4")
    });
    tests.add("express_5_accepts_both_signatures", |test| {
        accepts(test, "express")
    });
}

/// What JavaScript prints otherwise than it was sent, or nearly does.
const AWKWARD: [&str; 6] = [
    r#"{"event":"test","data":{"n":[1.0,1e21,1e-7,-0.0,123456789012345678901,0.1,5e-324]}}"#,
    r#"{"event":"test","data":{"b":1,"2":2,"a":3,"1":4,"b":5,"4294967295":6}}"#,
    r#"{"event":"test","data":{"s":"\u00e9\u2028\u0007\/\ud83d\udc4d \ud83d lone"}}"#,
    r#"{"event":"test","data":{"s":"<a href='x'>&amp;</a>","":null,"a.b":true,"$set":{}}}"#,
    r#"{"event":"test","data":{"messageSecret":{"10":1,"9":2,"0":3}},"extra":{"z":1,"a":[]}}"#,
    "{\t\"event\" : \"test\",\n\"data\":{\"emoji\":\"👩‍👩‍👧‍👦\"} }",
];

async fn accepts(test: Test, express: &'static str) {
    let (_node, mut lines) = start(express);
    let listening = lines.next().unwrap().unwrap();
    let port = listening.strip_prefix("listening on ").unwrap();
    let url = format!("http://127.0.0.1:{port}/webhook");
    let pair = test
        .pair(Receiver::start().await, &[("WEBHOOK_URL", &url)])
        .await;
    let mut sent = BTreeMap::new();
    for event in wahook_domain::samples().chain(AWKWARD) {
        sent.insert(pair.post_with(&[], event).await.accepted_id(), event);
    }
    for (id, event) in &sent {
        let ended = |r: &mongodb::bson::Document| r.get_str("status").is_ok_and(|s| s == "success");
        pair.wait_record(id, Duration::from_secs(5), |r| {
            assert!(ended(r), "{event} was not accepted: {r}");
            true
        })
        .await;
        let said: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(
            (&said["documented"], &said["standard"]),
            (&true.into(), &true.into()),
            "{said}"
        );
    }
}

fn start(express: &str) -> (Guarded, std::io::Lines<BufReader<ChildStdout>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    assert!(
        folder.join("node_modules").is_dir(),
        "run `make install` first: {folder:?}"
    );
    let mut node = Guarded::spawn("node", |command| {
        command
            .args(["express-receiver.js", express])
            .env("WEBHOOK_SECRET", SECRET)
            .current_dir(folder)
            .stdout(Stdio::piped());
    })
    .unwrap();
    let lines = BufReader::new(node.take_stdout().unwrap()).lines();
    (node, lines)
}
