//! Limits: inputs that would hang the page or the receiver, or fill its memory.

use futures_util::future::join_all;
use reqwest::{Response, StatusCode};
use serde_json::json;
use wahook_tests::browser::Browser;
use wahook_tests::eventually::{AT_LAST, eventually};

use super::stage::{Delivery, Stage};

/// Streams that the receiver sends at the same time.
const STREAMS: usize = 16;
/// Searches at the same time; they run one after the other.
const SEARCHES: usize = 2;

async fn show(page: &Browser, stage: &Stage, number: u64, body: Vec<u8>) {
    let delivery = Delivery::event("ready", "evt_1", &json!({})).body(body);
    stage.send(&delivery).await;
    page.wait(&format!("document.getElementById('delivery-{number}')"))
        .await;
    page.click(&format!("#delivery-{number}")).await;
    page.wait_text("#detail-title", &format!("number {number}"))
        .await;
}

#[tokio::test]
async fn deeply_nested_json_is_drawn_up_to_a_level_and_shown_as_raw_text() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    for (number, levels) in [(1, 2_000), (2, 100_000)] {
        let nested = ["[".repeat(levels), "]".repeat(levels)].concat();
        show(&page, &stage, number, nested.clone().into_bytes()).await;
        page.wait_text("#body .tree", "nested deeper than 100 levels: see raw")
            .await;
        let folds = "document.querySelectorAll('#body .tree details').length";
        assert_eq!(page.value(folds).await, 100);
        let raw = page
            .value("document.querySelector('#raw pre').textContent")
            .await;
        assert!(raw == nested.as_str(), "the raw text differs");
    }
    page.wait_text("#connection", "connected").await;
}

#[tokio::test]
async fn widely_nested_json_is_drawn_in_parts() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    // A binary tree: each fold is small enough to be open, and there are 131,071 of them.
    let mut tree = "0".to_owned();
    for _ in 0..17 {
        tree = format!("[{tree},{tree}]");
    }
    show(&page, &stage, 1, tree.into_bytes()).await;
    page.wait("document.querySelector('#body .tree details')")
        .await;
    let nodes = "document.querySelectorAll('#body .tree li').length";
    let drawn = page.value(nodes).await.as_u64().unwrap();
    assert!((1_000..2_000).contains(&drawn), "{drawn} nodes are drawn");
}

#[tokio::test]
async fn search_takes_linear_time_for_any_text_and_blocks_no_other_request() {
    let stage = Stage::start().await;
    // Nearly all that the receiver keeps, 64 MiB.
    for mebibytes in [15, 15, 15, 15, 3] {
        let body = vec![b'a'; mebibytes << 20];
        let same = Delivery::event("ready", "evt_1", &json!({})).body(body);
        assert_eq!(stage.send(&same).await.status(), StatusCode::OK);
    }
    // Each position of a body begins with 999 bytes of the text: a search that compares there
    // takes minutes, and the client waits one minute.
    let nowhere = format!("search?text={}b", "a".repeat(999));
    let searches = join_all((0..SEARCHES).map(async |_| {
        assert_eq!(stage.ask(&nowhere).await, json!({ "numbers": [] }));
    }));
    let mut answered = 0;
    let others = async {
        loop {
            let list = stage.ask("deliveries").await;
            assert_eq!(list["deliveries"].as_array().unwrap().len(), 5);
            answered += 1;
        }
    };
    tokio::select! {
        _ = searches => {}
        () = others => {}
    }
    assert!(answered >= SEARCHES, "{answered} requests were answered");
    let everywhere = format!("search?text={}", "A".repeat(1_000));
    let found = stage.ask(&everywhere).await;
    assert_eq!(found["numbers"].as_array().unwrap().len(), 5);
    let longer = format!("search?text={}", "a".repeat(1_001));
    assert_eq!(stage.ask(&longer).await["status"], 400);
}

#[tokio::test]
async fn number_of_unread_event_streams_is_limited() {
    let stage = Stage::start().await;
    // As large as the headers allow; the lists have 1,000 characters of it.
    let target = format!("/{}", "x".repeat(30_000));
    for _ in 0..300 {
        let sent = stage.http.post(stage.url(&target)).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
    }
    let listed = stage.ask("deliveries").await;
    let shown = listed["deliveries"][0]["target"].as_str().unwrap();
    assert_eq!(shown.chars().count(), 1_001);
    assert_eq!(stage.ask("deliveries/1").await["target"], target.as_str());
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let stream = stream(&stage).await;
        assert_eq!(stream.status(), StatusCode::OK);
        open.push(stream);
    }
    let refused = stream(&stage).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "5");
    let problem = refused.text().await.unwrap();
    assert!(problem.contains("urn:wahook:problem:busy"), "{problem}");
    // A closed stream makes room for another one.
    drop(open.pop());
    eventually(AT_LAST, "another stream is accepted", || async {
        (stream(&stage).await.status() == StatusCode::OK).then_some(())
    })
    .await;
}

async fn stream(stage: &Stage) -> Response {
    let url = stage.url("/_receiver/api/stream");
    stage.http.get(url).send().await.unwrap()
}
