//! A hundred endpoints with ten retries, and the number of their series in `/metrics`.

use std::fmt::Write;
use std::time::Duration;

use crate::eventually::eventually;
use crate::program::Metrics;
use crate::receiver::{Answer, Receiver};

pub const ENDPOINTS: usize = 100;
/// Series of all endpoints at most, however busy.
pub const MOST_SERIES: usize = 5_000;
/// Events of each name in [`EVENTS`] that each endpoint receives.
pub const EACH: usize = 2;
/// The first is delivered at once, the second after two failures, the third after ten, the fourth
/// never.
pub const EVENTS: [&str; 4] = ["call", "message_ack", "group_leave", "group_join"];
const LATER: Duration = Duration::from_secs(360);

/// Starts the receiver of all endpoints.
pub async fn receiver() -> Receiver {
    Receiver::answering(|post| {
        Answer::status(match post.event() {
            // The fault of the event, so that no endpoint is paused.
            Some("message_ack") if post.attempt() <= Some(2) => 400,
            Some("group_leave") if post.attempt() <= Some(10) => 400,
            // Without a retry.
            Some("group_join") => 410,
            _ => 200,
        })
    })
    .await
}

/// Returns the endpoints file.
pub fn file(receiver: &Receiver) -> String {
    let url = receiver.url();
    (0..ENDPOINTS).fold(String::new(), |mut file, number| {
        let _ = writeln!(
            file,
            "[[endpoint]]\nname = \"webhook-{number}\"\nurl = \"{url}\"\n\
             retry_attempts = 10\nretry_delay = 10"
        );
        file
    })
}

/// Waits until each endpoint has received [`EACH`] of all events, and returns the number of
/// series. In one process a queue that has events has one more, until the numbers are read again.
pub async fn series_when_all_are_busy(metrics: impl AsyncFn() -> Metrics) -> usize {
    let results = [("delivered", 3), ("dead_lettered", 1)];
    eventually(LATER, "every event at every endpoint", async || {
        let metrics = metrics().await;
        let are_counted = results.iter().all(|(result, names)| {
            let counted = metrics.sum_where("wahook_deliveries_total", &[("result", result)]);
            counted == (ENDPOINTS * EACH * names) as f64
        });
        let is_empty = metrics.sum("wahook_store_queued") == 0.0;
        (are_counted && is_empty).then(|| metrics.iter().count())
    })
    .await
}
