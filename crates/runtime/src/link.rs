//! State of a broker connection in readiness and metrics.

use tokio::sync::watch;
use wahook_domain::LinkState;

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

    /// Reports the current state and every change, until the connection's supervisor ends.
    pub async fn watch(self, mut states: watch::Receiver<LinkState>) {
        loop {
            self.observe(&states.borrow_and_update());
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    fn observe(&self, state: &LinkState) {
        self.metrics.observe(state.up, state.connections);
        if let Some(alarms) = &self.alarms {
            alarms.set_blocked(state.blocked.is_some());
        }
        match (state.up, &state.blocked) {
            (true, None) => self.check.set_ok(),
            (true, Some(reason)) => {
                self.check
                    .set_failed(format!("the broker blocks publishers: {reason}"));
            }
            (false, _) => {
                let error = state.last_error.as_deref();
                self.check.set_failed(error.unwrap_or("connecting"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Readiness, metrics::render};
    use prometheus::Registry;

    #[test]
    fn readiness_and_metrics_follow_the_connection() {
        let (registry, readiness) = (Registry::new(), Readiness::new());
        let metrics = BrokerMetrics::new(&registry).unwrap();
        let link = Link::publishing(readiness.check("broker"), metrics);
        let mut state = LinkState::default();
        link.observe(&state);
        assert!(!readiness.report().ready);
        state.connected();
        link.observe(&state);
        assert!(readiness.report().ready);
        state.blocked = Some("low on memory".to_owned());
        link.observe(&state);
        assert!(
            readiness.report().checks["broker"]
                .detail
                .contains("low on memory")
        );
        assert!(render(&registry).contains("wahook_broker_blocked 1"));
        state.connected();
        link.observe(&state);
        assert!(readiness.report().ready);
        assert!(render(&registry).contains("wahook_reconnects_total{connection=\"publish\"} 1"));
    }
}
