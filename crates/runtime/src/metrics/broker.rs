//! Metrics of the connections to RabbitMQ.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result};

use crate::families;

families! {
    /// Families of the connections to RabbitMQ.
    BrokerFamilies {
        /// 1 while the connection to RabbitMQ is up, else 0.
        connection_up: IntGaugeVec = "wahook_connection_up" ["connection"];
        /// Reconnections to RabbitMQ after a lost connection.
        reconnects: IntCounterVec = "wahook_reconnects_total" ["connection"];
        /// 1 while RabbitMQ blocks publishers because of a memory or disk alarm, else 0.
        blocked: IntGauge = "wahook_broker_blocked";
        /// Number of times RabbitMQ began to block publishers.
        blocked_total: IntCounter = "wahook_broker_blocked_total";
    }
}

/// Metrics of the connections of one program. Clones share the counts.
#[derive(Debug, Clone)]
pub struct BrokerMetrics {
    pub publish: ConnectionMetrics,
    blocked: IntGauge,
    blocked_total: IntCounter,
    families: BrokerFamilies,
}

/// Metrics of a supervised connection.
#[derive(Debug, Clone)]
pub struct ConnectionMetrics {
    up: IntGauge,
    reconnects: IntCounter,
}

impl BrokerMetrics {
    /// Registers the families of the connections.
    ///
    /// # Errors
    /// If the registry contains them already.
    pub fn new(registry: &Registry) -> Result<Self> {
        let families = BrokerFamilies::register(registry)?;
        Ok(Self {
            publish: ConnectionMetrics::of(&families, "publish"),
            blocked: families.blocked.clone(),
            blocked_total: families.blocked_total.clone(),
            families,
        })
    }

    /// Returns the metrics of the consuming connection.
    #[must_use]
    pub fn consume(&self) -> ConnectionMetrics {
        ConnectionMetrics::of(&self.families, "consume")
    }

    /// Sets whether the broker blocks publishers. Repeated reports count once. Only
    /// one task may report this.
    pub fn set_blocked(&self, blocked: bool) {
        if blocked && self.blocked.get() == 0 {
            self.blocked_total.inc();
        }
        self.blocked.set(i64::from(blocked));
    }
}

impl ConnectionMetrics {
    fn of(families: &BrokerFamilies, connection: &str) -> Self {
        Self {
            up: families.connection_up.with_label_values(&[connection]),
            reconnects: families.reconnects.with_label_values(&[connection]),
        }
    }

    /// Sets the state, and the number of connections so far, the first included. Only
    /// one task may report this.
    pub fn observe(&self, up: bool, connections: u64) {
        self.up.set(i64::from(up));
        let reconnects = connections.saturating_sub(1);
        self.reconnects
            .inc_by(reconnects.saturating_sub(self.reconnects.get()));
    }
}
