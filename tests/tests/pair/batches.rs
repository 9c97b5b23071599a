//! Batches: each line has its own answer, and an invalid line does not affect the others.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::Value;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::receiver::Receiver;

use crate::world::{Test, Tests};

pub(crate) const NDJSON: [(&str, &str); 1] = [("content-type", "application/x-ndjson")];

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_batch_is_answered_line_by_line_in_order", in_order);
    tests.add("an_invalid_line_does_not_affect_its_neighbours", bad_line);
}

pub(crate) fn lines(body: &str) -> Vec<Value> {
    body.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn in_order(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let batch: String = (0..500)
        .map(|n| format!("{{\"event\":\"test\",\"data\":{{\"n\":{n}}}}}\r\n"))
        .collect();
    let answer = pair.post_with(&NDJSON, batch).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let ids: Vec<_> = lines(&answer.body)
        .iter()
        .map(|l| l["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 500);
    let posts = pair.receiver.wait_for(500, AT_LAST).await;
    for (n, id) in ids.iter().enumerate() {
        let post = posts.iter().find(|post| post.id() == Some(id)).unwrap();
        let body: Value = serde_json::from_slice(&post.body).unwrap();
        assert_eq!(
            body["data"]["n"], n,
            "line {n} must have the id of its event"
        );
    }
}

async fn bad_line(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let batch = "{\"event\":\"test\"}\n{\"event\":\n\n{\"event\":\"BAD\"}\n{\"event\":\"test\"}";
    let answer = pair.post_with(&NDJSON, batch).await;
    assert_eq!(answer.status, StatusCode::MULTI_STATUS);
    let lines = lines(&answer.body);
    let statuses: Vec<_> = lines
        .iter()
        .map(|line| line["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [202, 400, 422, 202]);
    assert_eq!(lines[1]["type"], "urn:wahook:problem:not-json");
    assert_eq!(lines[2]["errors"][0]["pointer"], "/event");
    let posts = pair.receiver.wait_for(2, AT_LAST).await;
    let arrived: BTreeSet<_> = posts.iter().filter_map(|post| post.id()).collect();
    let accepted = BTreeSet::from([
        lines[0]["id"].as_str().unwrap(),
        lines[3]["id"].as_str().unwrap(),
    ]);
    assert_eq!(arrived, accepted);
}
