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
    owned: LaneGauge,
    events: LaneGauge,
    blocked_keys: LaneGauge,
    held_keys: LaneGauge,
    parked_keys: LaneGauge,
    parked_events: LaneGauge,
}

/// Gauge of a lane that does not exist before it is above 0.
#[derive(Debug, Clone)]
struct LaneGauge {
    gauges: IntGaugeVec,
    labels: [String; 2],
    existence: Existence,
}

/// Time in which a gauge exists.
#[derive(Debug, Clone)]
enum Existence {
    /// Once it was above 0: in one process each endpoint has a lane, which most never use.
    OncePositive(Arc<OnceLock<IntGauge>>),
    /// While it is above 0: most lanes never have parked events. False once it was removed: a
    /// removal locks the whole family.
    WhilePositive(Arc<AtomicBool>),
}

impl LaneMetrics {
    pub(super) fn new(families: &ConsumerFamilies, endpoint: &EndpointName, lane: usize) -> Self {
        let lane = lane.to_string();
        let labels = [endpoint.as_str(), lane.as_str()];
        Self {
            owned: LaneGauge::once_positive(&families.lane_owned, labels),
            events: LaneGauge::once_positive(&families.lane_events, labels),
            blocked_keys: LaneGauge::once_positive(&families.lane_blocked_keys, labels),
            held_keys: LaneGauge::once_positive(&families.lane_held_keys, labels),
            parked_keys: LaneGauge::while_positive(&families.lane_parked_keys, labels),
            parked_events: LaneGauge::while_positive(&families.lane_parked_events, labels),
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

impl LaneGauge {
    fn once_positive(gauges: &IntGaugeVec, labels: [&str; 2]) -> Self {
        Self::new(gauges, labels, Existence::OncePositive(Arc::default()))
    }

    fn while_positive(gauges: &IntGaugeVec, labels: [&str; 2]) -> Self {
        // One may be left of an earlier owner.
        let may_exist = Arc::new(AtomicBool::new(true));
        Self::new(gauges, labels, Existence::WhilePositive(may_exist))
    }

    fn new(gauges: &IntGaugeVec, labels: [&str; 2], existence: Existence) -> Self {
        Self {
            gauges: gauges.clone(),
            labels: labels.map(str::to_owned),
            existence,
        }
    }

    fn set(&self, value: i64) {
        match &self.existence {
            Existence::OncePositive(gauge) if value > 0 => {
                gauge.get_or_init(|| self.created()).set(value);
            }
            Existence::OncePositive(gauge) => {
                if let Some(gauge) = gauge.get() {
                    gauge.set(0);
                }
            }
            Existence::WhilePositive(may_exist) if value > 0 => {
                may_exist.store(true, Ordering::Relaxed);
                self.created().set(value);
            }
            Existence::WhilePositive(may_exist) => {
                if may_exist.swap(false, Ordering::Relaxed) {
                    // Fails if it does not exist.
                    let _ = self.gauges.remove_label_values(&self.labels);
                }
            }
        }
    }

    fn created(&self) -> IntGauge {
        self.gauges.with_label_values(&self.labels)
    }
}

fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
