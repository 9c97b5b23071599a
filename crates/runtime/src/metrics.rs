//! What the programs count, for Prometheus.
//!
//! Each family is declared once, in `families.rs`, its doc comment being its
//! help text. The types here hold ready-made series, so that every series a
//! dashboard needs is there, at 0, from the start.

mod broker;
mod consumer;
mod declare;
mod families;
mod gauge;
mod process;
mod producer;

use prometheus::{Registry, TextEncoder};

pub use broker::{BrokerMetrics, ConnectionMetrics};
pub use consumer::{ConsumerMetrics, EndpointMetrics, LogResults, Probes, Redelivered, Reloads};
pub use gauge::InFlightGuard;
pub use process::ProcessMetrics;
pub use producer::{ProducerMetrics, RefusalReason};

/// Everything that the registry holds, in Prometheus' text format.
#[must_use]
pub fn render(registry: &Registry) -> String {
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(&registry.gather(), &mut text) {
        tracing::error!(%error, "metrics cannot be written out in full");
    }
    text
}

#[cfg(test)]
mod tests;
