//! State of a broker connection in readiness and metrics.

use crate::{
    metrics::{BrokerMetrics, ConnectionMetrics},
    ops::CheckHandle,
};

/// Reports the state of one supervised connection.
#[derive(Debug)]
pub struct Link {
    check: CheckHandle,
    metrics: ConnectionMetrics,
    alarms: Option<BrokerMetrics>,
}

impl Link {
    /// Creates the link of a consuming connection, which alarms do not block.
    #[must_use]
    pub fn consuming(check: CheckHandle, metrics: ConnectionMetrics) -> Self {
        Self {
            check,
            metrics,
            alarms: None,
        }
    }

    /// Creates the link of the publishing connection, which an alarm at the broker blocks.
    #[must_use]
    pub fn publishing(check: CheckHandle, broker: BrokerMetrics) -> Self {
        Self {
            check,
            metrics: broker.publish.clone(),
            alarms: Some(broker),
        }
    }

    /// Reports the state: `connections` is the number of connections so far, `blocked`
    /// the broker's reason for blocking publishers, `error` the last error.
    pub fn observe(&self, up: bool, connections: u64, blocked: Option<&str>, error: Option<&str>) {
        self.metrics.observe(up, connections);
        if let Some(alarms) = &self.alarms {
            alarms.set_blocked(blocked.is_some());
        }
        match (up, blocked) {
            (true, None) => self.check.set_ok(),
            (true, Some(reason)) => {
                self.check
                    .set_failed(format!("the broker blocks publishers: {reason}"));
            }
            (false, _) => self.check.set_failed(error.unwrap_or("connecting")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Readiness,
        metrics::{ProducerMetrics, render},
    };
    use prometheus::Registry;

    #[test]
    fn readiness_and_metrics_follow_the_connection() {
        let (registry, readiness) = (Registry::new(), Readiness::new());
        let metrics = ProducerMetrics::new(&registry).unwrap();
        let link = Link::publishing(readiness.check("broker"), metrics.broker);
        link.observe(false, 0, None, None);
        assert!(!readiness.report().ready);
        link.observe(true, 1, None, None);
        assert!(readiness.report().ready);
        link.observe(true, 1, Some("low on memory"), None);
        assert!(
            readiness.report().checks["broker"]
                .detail
                .contains("low on memory")
        );
        assert!(render(&registry).contains("wahook_broker_blocked 1"));
        link.observe(true, 2, None, None);
        assert!(readiness.report().ready);
        assert!(render(&registry).contains("wahook_reconnects_total{connection=\"publish\"} 1"));
    }
}
