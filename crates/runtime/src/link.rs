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
    check: Option<CheckHandle>,
    metrics: ConnectionMetrics,
    alarms: Option<BrokerMetrics>,
}

impl Link {
    /// Creates the link of a consuming connection, which alarms do not block.
    #[must_use]
    pub fn consuming(check: CheckHandle, metrics: ConnectionMetrics) -> Self {
        Self {
            check: Some(check),
            metrics,
            alarms: None,
        }
    }

    /// Creates the link of the publishing connection, which an alarm at the broker blocks.
    #[must_use]
    pub fn publishing(check: CheckHandle, broker: BrokerMetrics) -> Self {
        Self {
            check: Some(check),
            ..Self::measuring(broker)
        }
    }

    /// Creates the link of a publishing connection without which the program can work.
    #[must_use]
    pub fn measuring(broker: BrokerMetrics) -> Self {
        Self {
            check: None,
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
        let Some(check) = &self.check else {
            return;
        };
        match obstacle(state) {
            None => check.set_ok(),
            Some(reason) => check.set_failed(reason),
        }
    }
}

/// Returns the reason for which nothing can be published now, if there is one.
#[must_use]
pub fn obstacle(state: &LinkState) -> Option<String> {
    match (state.up, &state.blocked) {
        (true, None) => None,
        (true, Some(reason)) => Some(format!("the broker blocks publishers: {reason}")),
        (false, _) => Some(
            state
                .last_error
                .as_deref()
                .unwrap_or("connecting")
                .to_owned(),
        ),
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
