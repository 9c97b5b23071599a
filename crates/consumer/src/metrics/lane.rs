//! Metrics of one lane.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use prometheus::{IntGauge, IntGaugeVec};
use wahook_domain::EndpointName;

use super::families::ConsumerFamilies;

/// Series of one lane.
#[derive(Debug, Clone)]
pub struct LaneMetrics {
    owned: OncePositive,
    events: OncePositive,
    blocked_keys: OncePositive,
    held_keys: OncePositive,
    parked_keys: WhilePositive,
    parked_events: WhilePositive,
}

/// Gauge that exists once it was above 0: in one process each endpoint has a lane, which most
/// never use.
#[derive(Debug, Clone)]
struct OncePositive {
    gauges: IntGaugeVec,
    labels: [String; 2],
    gauge: Arc<OnceLock<IntGauge>>,
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
            owned: OncePositive::new(&families.lane_owned, labels),
            events: OncePositive::new(&families.lane_events, labels),
            blocked_keys: OncePositive::new(&families.lane_blocked_keys, labels),
            held_keys: OncePositive::new(&families.lane_held_keys, labels),
            parked_keys: WhilePositive::new(&families.lane_parked_keys, labels),
            parked_events: WhilePositive::new(&families.lane_parked_events, labels),
        }
    }

    /// Sets whether this consumer owns the lane.
    pub fn own(&self, is_owned: bool) {
        self.owned.set(i64::from(is_owned));
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

impl OncePositive {
    fn new(gauges: &IntGaugeVec, labels: [&str; 2]) -> Self {
        Self {
            gauges: gauges.clone(),
            labels: labels.map(str::to_owned),
            gauge: Arc::default(),
        }
    }

    fn set(&self, value: i64) {
        if value > 0 {
            let create = || self.gauges.with_label_values(&self.labels);
            self.gauge.get_or_init(create).set(value);
        } else if let Some(gauge) = self.gauge.get() {
            gauge.set(0);
        }
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
