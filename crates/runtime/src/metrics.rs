//! Prometheus metrics of the programs.
//!
//! Each family is declared once, in `families.rs`; its doc comment is its help
//! text. The types here hold series that are created at the start, so that every
//! series of a dashboard exists at 0.

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

/// Renders the registry in Prometheus' text format.
#[must_use]
pub fn render(registry: &Registry) -> String {
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(&registry.gather(), &mut text) {
        tracing::error!(%error, "metrics incomplete: encoding failed");
    }
    text
}

#[cfg(test)]
mod tests;
