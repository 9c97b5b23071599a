//! Metrics of the consumer.

mod endpoint;
mod families;
mod lane;

use prometheus::{Histogram, IntCounter, IntGauge, IntGaugeVec, Registry, Result};
use wahook_domain::EndpointName;
use wahook_runtime::metrics::{BrokerMetrics, ConnectionMetrics};

pub use endpoint::{EndpointMetrics, Redelivered};
use families::ConsumerFamilies;
pub use lane::LaneMetrics;

/// Series of the consumer. Clones share the counts.
#[derive(Debug, Clone)]
pub struct ConsumerMetrics {
    /// Messages that could not be decoded.
    pub poison_messages: IntCounter,
    /// Seconds per batch written to the log.
    pub log_write_seconds: Histogram,
    /// Batches that could not be written to the log.
    pub log_write_errors: IntCounter,
    /// Seconds from the end of an attempt until its result was durable.
    pub log_lag_seconds: Histogram,
    pub log_results: LogResults,
    /// Results in this program that wait for the log or the results queue.
    pub log_results_pending: IntGauge,
    /// 1 while results can be written to the log.
    pub log_available: IntGauge,
    /// Reloads of the endpoints file.
    pub reloads: Reloads,
    /// Queued events of endpoints that are not configured.
    pub stranded_messages: IntGaugeVec,
    /// Connections to RabbitMQ, with the publishing one.
    pub broker: BrokerMetrics,
    pub consume: ConnectionMetrics,
    families: ConsumerFamilies,
}

/// Reloads of the endpoints file by result.
#[derive(Debug, Clone)]
pub struct Reloads {
    /// The file is in effect.
    pub applied: IntCounter,
    /// The file has faults, and nothing changed.
    pub refused: IntCounter,
}

/// Results by their path to the log.
#[derive(Debug, Clone)]
pub struct LogResults {
    /// Written directly.
    pub direct: IntCounter,
    /// Published to the results queue.
    pub spilled: IntCounter,
    /// Written from the results queue.
    pub drained: IntCounter,
}

impl ConsumerMetrics {
    /// Registers the consumer's families.
    ///
    /// # Errors
    /// When the registry holds them already.
    pub fn new(registry: &Registry) -> Result<Self> {
        let broker = BrokerMetrics::new(registry)?;
        let families = ConsumerFamilies::register(registry)?;
        let path = |path| families.log_results.with_label_values(&[path]);
        let reload = |result| families.reloads.with_label_values(&[result]);
        Ok(Self {
            poison_messages: families.poison_messages.clone(),
            log_write_seconds: families.log_write.clone(),
            log_write_errors: families.log_write_errors.clone(),
            log_lag_seconds: families.log_lag.clone(),
            log_results: LogResults {
                direct: path("direct"),
                spilled: path("spilled"),
                drained: path("drained"),
            },
            log_results_pending: families.log_results_pending.clone(),
            log_available: families.log_available.clone(),
            reloads: Reloads {
                applied: reload("applied"),
                refused: reload("refused"),
            },
            stranded_messages: families.stranded_messages.clone(),
            consume: broker.consume(),
            broker,
            families,
        })
    }

    /// Returns the series of one endpoint.
    #[must_use]
    pub fn endpoint(&self, name: &EndpointName) -> EndpointMetrics {
        EndpointMetrics::new(&self.families, name)
    }

    /// Returns the series of one lane, counted from 0.
    #[must_use]
    pub fn lane(&self, endpoint: &EndpointName, lane: usize) -> LaneMetrics {
        LaneMetrics::new(&self.families, endpoint, lane)
    }
}

#[cfg(test)]
mod tests;
