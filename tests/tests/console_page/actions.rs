//! Actions: redeliveries, endpoints, dead letters and jobs.

use serde_json::{Value, json};
use wahook_tests::browser::Browser;
use wahook_tests::eventually::{AT_LAST, eventually};

use super::stage::{On, ROWS, Stage, row, script_answers};

async fn posted(page: &Browser) -> Vec<(String, Value)> {
    let posted = page.value("window.posted").await;
    serde_json::from_value(posted).unwrap()
}

fn job(state: &str, done: u32) -> Value {
    json!({
        "job": "j1", "kind": "redelivery", "state": state, "count": 2, "done": done, "failed": 0,
        "createdAt": "2026-01-02T03:04:05.678Z", "endedAt": null, "error": null,
    })
}

pub(crate) async fn selected_and_matching_deliveries_are_redelivered_after_a_confirmation(on: On) {
    let stage = Stage::start(&on).await;
    let id = stage.ended("call", &json!({}), "failed").await;
    stage.ended("ready", &json!({}), "success").await;
    let page = stage.browser().await;
    page.wait(&format!("{ROWS} === 4")).await;
    let jobs = [job("running", 1), job("running", 1), job("done", 2)];
    script_answers(
        &page,
        &json!({
            "POST redeliveries": [[202, { "job": "j1", "count": 2 }], [200, { "count": 512 }], [202, { "job": "j2", "count": 512 }]],
            "GET jobs": jobs.map(|job| json!([200, { "jobs": [job] }])),
        }),
    )
    .await;
    for endpoint in ["crm", "archive"] {
        page.click(&format!("{} input", row(&id, endpoint))).await;
    }
    page.wait_text("#redeliver-selected", "(2)").await;
    page.click("#redeliver-selected").await;
    page.wait_text("dialog[open]", "Redeliver 2 deliveries?")
        .await;
    page.click("#dialog-cancel").await;
    page.wait("document.querySelector('dialog') === null").await;
    assert_eq!(posted(&page).await, []);
    page.click("#redeliver-selected").await;
    page.click("#dialog-act").await;
    page.wait_text("#jobs", "Redelivery running: 1 of 2").await;
    page.wait_text("#notice", "Redelivery done: 2 of 2").await;
    // The selection is done with.
    page.wait("document.getElementById('redeliver-selected').disabled")
        .await;
    let ids = json!({ "ids": [format!("{id}/crm"), format!("{id}/archive")] });
    assert_eq!(
        posted(&page).await[0],
        ("POST redeliveries".to_owned(), ids)
    );

    // All that match: the number comes from the program, and both ends of the time are fixed.
    page.choose("#filters [name=status]", "failed").await;
    page.wait("location.search === '?status=failed'").await;
    page.run("window.posted = [];", &[]).await;
    page.click("#redeliver-all").await;
    page.wait_text("dialog[open]", "Redeliver 512 deliveries?")
        .await;
    page.wait_text("dialog[open]", "With status failed").await;
    page.fill("dialog [name=endpoint]", "archive").await;
    page.fill("dialog [name=rate]", "20").await;
    page.click("#dialog-act").await;
    page.wait_text("#notice", "512").await;
    let posted = posted(&page).await;
    let bodies: Vec<_> = posted
        .iter()
        .filter(|(key, _)| key == "POST redeliveries")
        .map(|(_, body)| body)
        .collect();
    let [counted, begun] = bodies[..] else {
        panic!("{posted:?}")
    };
    assert_eq!(counted["dryRun"], true);
    assert_eq!(counted["filter"]["status"], "failed");
    for name in ["since", "until"] {
        assert!(counted["filter"][name].is_string(), "{counted}");
    }
    let expected = json!({ "filter": counted["filter"], "endpoint": "archive", "rate": 20 });
    assert_eq!(*begun, expected);
}

pub(crate) async fn five_hundred_selected_failures_are_sent_once_more_each(on: On) {
    const EVENTS: u32 = 250;
    let stage = Stage::start(&on).await;
    let mut ids = Vec::new();
    for n in 0..EVENTS {
        ids.push(stage.send("call", &json!({ "n": n })).await);
    }
    stage.wait_ended(500).await;
    stage.receiver.forget();
    let page = stage.browser().await;
    let mut rows = 0;
    while rows < 500 {
        let more = page.wait(&format!("{ROWS} > {rows} && {ROWS}")).await;
        rows = more.as_u64().unwrap();
        if rows < 500 {
            page.click("#more").await;
        }
    }
    page.click("#check-all").await;
    page.wait_text("#redeliver-selected", "(500)").await;
    page.click("#redeliver-selected").await;
    page.wait_text("dialog[open]", "Redeliver 500 deliveries?")
        .await;
    page.fill("dialog [name=rate]", "500").await;
    page.click("#dialog-act").await;
    page.wait_text("#jobs", "Redelivery done: 500 of 500").await;
    let sent = |id: &String| {
        let posts = stage.receiver.posts_of(id).into_iter();
        let first = posts.filter(|post| post.attempt() == Some(1));
        let marked = first.filter(|post| post.header("x-webhook-redelivery") == Some("true"));
        marked.count()
    };
    eventually(AT_LAST, "all redeliveries", || async {
        ids.iter().all(|id| sent(id) >= 2).then_some(())
    })
    .await;
    // One to each of the two endpoints.
    assert!(ids.iter().all(|id| sent(id) == 2));
}

pub(crate) async fn endpoints_show_their_state_and_failed_actions_are_reported(on: On) {
    let stage = Stage::start(&on).await;
    stage.ended("call", &json!({}), "failed").await;
    let page = stage.browser().await;
    page.click("[data-view=endpoints]").await;
    page.wait("location.search === '?view=endpoints'").await;
    page.wait("document.querySelectorAll('#endpoints .card').length === 2")
        .await;
    page.wait_text("[data-endpoint=crm]", "active").await;
    page.wait_text("[data-endpoint=crm]", "0 % of 1").await;
    page.wait("document.querySelector('[data-endpoint=crm] .spark')")
        .await;
    // A program without an action says so; the page goes on.
    script_answers(
        &page,
        &json!({
            "POST endpoints/crm/pause": [[501, null]],
            "POST endpoints/archive/pause": [[409, { "type": "urn:wahook:problem:x", "detail": "already paused" }]],
        }),
    )
    .await;
    page.click("#pause-crm").await;
    page.fill("dialog [name=reason]", "upgrade").await;
    page.click("#dialog-act").await;
    page.wait_text("#failure[role=alert]", "this program cannot do that yet")
        .await;
    let body = posted(&page).await.pop().unwrap().1;
    assert_eq!(body, json!({ "reason": "upgrade" }));
    page.click("#pause-archive").await;
    page.click("#dialog-act").await;
    page.wait_text("#failure", "already paused").await;
    page.click("[data-endpoint=crm] a[href*=failed]").await;
    page.wait_text("#list li", "failed 500").await;
    page.wait("location.search === '?endpoint=crm&status=failed'")
        .await;
}

pub(crate) async fn dead_letters_are_grouped_and_redriven(on: On) {
    let stage = Stage::start(&on).await;
    let id = stage.ended("call", &json!({}), "failed").await;
    let before = stage.receiver.posts_of(&id).len();
    let page = stage.browser().await;
    page.press("3").await;
    page.wait_text("#dead-count", "2").await;
    page.wait_text("#groups button", "(2)").await;
    page.click("#groups button").await;
    page.wait("location.search.includes('reason=')").await;
    page.wait("document.querySelector('#groups button').getAttribute('aria-pressed') === 'true'")
        .await;
    page.click("#discard-all").await;
    page.wait_text("dialog[open]", "Discard 2 dead letters?")
        .await;
    // The safe choice has the focus.
    page.wait("document.activeElement.id === 'dialog-cancel'")
        .await;
    page.click("#dialog-cancel").await;
    page.click("#dead-letters li input").await;
    page.click("#redrive-selected").await;
    page.wait_text("dialog[open]", "Redrive 1 dead letter?")
        .await;
    page.click("#dialog-act").await;
    page.wait_text("#jobs", "Redrive done: 1 of 1").await;
    eventually(AT_LAST, "the redriven event", || async {
        (stage.receiver.posts_of(&id).len() > before).then_some(())
    })
    .await;
}
