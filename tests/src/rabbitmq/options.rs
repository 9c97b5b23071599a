//! Options of a private node.

use std::time::Duration;

#[derive(Debug, Clone, Default)]
pub struct BrokerOptions {
    /// Plugins to enable, with their dependencies. Each adds start-up time.
    pub plugins: Vec<String>,
    /// Time for which a delivery may be unacked; the broker's own 30 minutes if `None`.
    pub consumer_timeout: Option<Duration>,
}

impl BrokerOptions {
    /// Options with the Prometheus plugin and its dependencies.
    pub fn with_metrics() -> Self {
        let plugins = [
            "rabbitmq_prometheus",
            "rabbitmq_management_agent",
            "rabbitmq_web_dispatch",
        ];
        Self {
            plugins: plugins.map(str::to_owned).to_vec(),
            ..Self::default()
        }
    }

    /// Returns the options as members of the configuration of `rabbit`. Channels of 3.10 check
    /// the consumer timeout once a minute, unless another interval is set.
    pub(super) fn configuration(&self) -> String {
        self.consumer_timeout.map_or_else(String::new, |timeout| {
            let millis = timeout.as_millis();
            format!(" {{consumer_timeout, {millis}}}, {{channel_tick_interval, 500}},")
        })
    }
}
