//! Metrics of one lane.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use prometheus::{IntGauge, IntGaugeVec};
use wahook_domain::EndpointName;

use super::families::ConsumerFamilies;

/// Series of one lane.
#[derive(Debug, Clone)]
pub struct LaneMetrics {
    owned: IntGauge,
    events: IntGauge,
    blocked_keys: IntGauge,
    held_keys: IntGauge,
    parked_keys: WhilePositive,
    parked_events: WhilePositive,
}

/// Gauge that exists while it is above 0: most lanes never have parked events.
#[derive(Debug, Clone)]
struct WhilePositive {
    gauges: IntGaugeVec,
    labels: [String; 2],
    /// False once it was removed: a removal locks the whole family.
    may_exist: Arc<AtomicBool>,
}

impl LaneMetrics {
    pub(super) fn new(families: &ConsumerFamilies, endpoint: &EndpointName, lane: usize) -> Self {
        let lane = lane.to_string();
        let labels = [endpoint.as_str(), lane.as_str()];
        Self {
            owned: families.lane_owned.with_label_values(&labels),
            events: families.lane_events.with_label_values(&labels),
            blocked_keys: families.lane_blocked_keys.with_label_values(&labels),
            held_keys: families.lane_held_keys.with_label_values(&labels),
            parked_keys: WhilePositive::new(&families.lane_parked_keys, labels),
            parked_events: WhilePositive::new(&families.lane_parked_events, labels),
        }
    }

    /// Sets whether this consumer owns the lane.
    pub fn own(&self, is_owned: bool) {
        self.owned.set(is_owned.into());
    }

    /// Sets the number of events in memory, of keys whose head waits for its next attempt,
    /// of keys whose head is held, and of keys whose events are parked.
    pub fn show(&self, events: usize, blocked: usize, held: usize, parked: usize) {
        self.events.set(count(events));
        self.blocked_keys.set(count(blocked));
        self.held_keys.set(count(held));
        self.parked_keys.set(count(parked));
    }

    /// Sets the number of parked events that are not in memory.
    pub fn parked_events(&self, events: u64) {
        self.parked_events.set(count(events));
    }
}

impl WhilePositive {
    fn new(gauges: &IntGaugeVec, labels: [&str; 2]) -> Self {
        Self {
            gauges: gauges.clone(),
            labels: labels.map(str::to_owned),
            may_exist: Arc::new(AtomicBool::new(true)),
        }
    }

    fn set(&self, value: i64) {
        if value > 0 {
            self.may_exist.store(true, Ordering::Relaxed);
            self.gauges.with_label_values(&self.labels).set(value);
        } else if self.may_exist.swap(false, Ordering::Relaxed) {
            // Fails if it does not exist.
            let _ = self.gauges.remove_label_values(&self.labels);
        }
    }
}

fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
