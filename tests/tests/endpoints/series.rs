//! Number of series in `/metrics`.

use std::time::Duration;

use wahook_tests::eventually::eventually;
use wahook_tests::receiver::{Answer, Receiver};

use crate::several::Several;
use crate::world::{Test, Tests};

const ENDPOINTS: usize = 100;
/// Endpoints with events.
const USED: usize = 25;
/// Events, each of which fails twice: too few failures for a pause.
const EVENTS: usize = 5;
const LATER: Duration = Duration::from_secs(60);
const MOST_SERIES: usize = 5_000;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_hundred_endpoints_with_ten_retries_have_few_series",
        counted,
    );
}

async fn counted(test: Test) {
    let receiver = Receiver::answering(|post| {
        let is_taken = post.attempt() > Some(2);
        Answer::status(if is_taken { 200 } else { 500 })
    })
    .await;
    let mut endpoints = String::new();
    for number in 0..ENDPOINTS {
        let event = if number < USED { "message_ack" } else { "call" };
        endpoints += &format!(
            "[[endpoint]]\nname = \"webhook-{number}\"\nurl = \"{}\"\nevents = [\"{event}\"]\n\
             retry_attempts = 10\nretry_delay = 100\n",
            receiver.url()
        );
    }
    let several = Several::start(&test, 1, &endpoints).await;
    let series = async || several.consumers[0].metrics().await.iter().count();
    let unused = series().await;
    several.batch("message_ack", EVENTS).await;
    let delivered = [("result", "delivered")];
    eventually(LATER, "every event at every endpoint", async || {
        let metrics = several.consumers[0].metrics().await;
        let delivered = metrics.sum_where("wahook_deliveries_total", &delivered);
        (delivered == (USED * EVENTS) as f64).then_some(())
    })
    .await;
    let used = series().await;
    eprintln!(
        "{ENDPOINTS} endpoints: {unused} series at the start, {used} with {USED} endpoints in use"
    );
    assert!(unused < 2_500, "{unused}");
    assert!(used < MOST_SERIES, "{used}");
}
