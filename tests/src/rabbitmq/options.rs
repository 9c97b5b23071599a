//! Options of a private node.

#[derive(Debug, Clone, Default)]
pub struct BrokerOptions {
    /// Plugins to enable, with their dependencies. Each adds start-up time.
    pub plugins: Vec<String>,
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
        }
    }
}
