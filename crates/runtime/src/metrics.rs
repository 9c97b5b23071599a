//! Prometheus metrics that all programs share, and the macro that declares families.
//!
//! Each family is declared once, with [`families!`](crate::families!) next to the code
//! that counts; its doc comment is its help text. Series that alerts need are
//! created at the start, so that they exist at 0.

mod broker;
pub mod declare;
mod gauge;
mod process;

use prometheus::{Registry, TextEncoder};

pub use broker::{BrokerMetrics, ConnectionMetrics};
pub use gauge::InFlightGuard;
pub use process::ProcessMetrics;

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
