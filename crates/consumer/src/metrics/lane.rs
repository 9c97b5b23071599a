//! Metrics of one lane.

use prometheus::IntGauge;
use wahook_domain::EndpointName;

use super::families::ConsumerFamilies;

/// Series of one lane.
#[derive(Debug, Clone)]
pub struct LaneMetrics {
    events: IntGauge,
    blocked_keys: IntGauge,
}

impl LaneMetrics {
    pub(super) fn new(families: &ConsumerFamilies, endpoint: &EndpointName, lane: usize) -> Self {
        let lane = lane.to_string();
        let labels = [endpoint.as_str(), lane.as_str()];
        Self {
            events: families.lane_events.with_label_values(&labels),
            blocked_keys: families.lane_blocked_keys.with_label_values(&labels),
        }
    }

    /// Sets the number of events in memory, and of keys whose head waits for its next
    /// attempt.
    pub fn show(&self, events: usize, blocked_keys: usize) {
        self.events.set(count(events));
        self.blocked_keys.set(count(blocked_keys));
    }
}

fn count(number: usize) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
