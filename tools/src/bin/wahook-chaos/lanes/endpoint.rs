//! Ordered endpoint and its load, in the parts with the same ones.

use std::time::Duration;

/// Lanes of the endpoint, in all parts but one.
pub(super) const LANES: u8 = 12;
/// Consumers of the endpoint on one node.
pub(super) const CONSUMERS: usize = 3;
/// Pause of a chat after each event. With the time until the answer and the retries, a chat
/// posts about as fast as it is delivered, so that owners hold some of its events.
pub(super) const PAUSE: Duration = Duration::from_millis(150);
pub(super) const ANSWERED_AFTER: Duration = Duration::from_millis(100);
/// Load after a fault is over.
pub(super) const AFTERWARDS: Duration = Duration::from_secs(10);

/// Returns the settings of the endpoint, with this number of attempts in flight of a consumer.
pub(super) fn settings(concurrency: &str) -> [(&str, &str); 3] {
    [
        ("WEBHOOK_ORDER", "chat"),
        ("WEBHOOK_LANES", "12"),
        ("WEBHOOK_CONCURRENCY", concurrency),
    ]
}

/// Returns the settings of the endpoint for attempts that fail, with this delay of the first retry
/// in milliseconds.
pub(super) fn failing<'a>(concurrency: &'a str, retry_delay: &'a str) -> [(&'a str, &'a str); 5] {
    let [order, lanes, concurrency] = settings(concurrency);
    let retry_delay = ("WEBHOOK_RETRY_DELAY", retry_delay);
    [
        order,
        lanes,
        concurrency,
        retry_delay,
        ("WEBHOOK_CIRCUIT", "off"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_has_the_expected_lanes() {
        let lanes = LANES.to_string();
        assert!(settings("1").contains(&("WEBHOOK_LANES", lanes.as_str())));
    }
}
