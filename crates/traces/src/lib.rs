//! Traces of events, exported with the OpenTelemetry protocol: the only crate that knows
//! OpenTelemetry.
//!
//! As the log, the traces of a process are global: [`tracer`] is `None` unless the settings
//! turn them on, and everything else happens behind this check.

mod accept;
mod bounded;
mod context;
mod delivery;
mod exporter;
mod figures;
mod pairs;
mod running;
mod sampling;
mod settings;
mod tracer;

pub use accept::{Accepting, Publishing, Target};
pub use delivery::{Processing, Webhook};
pub use running::{Traces, register, tracer};
pub use settings::{SETTINGS, TraceSettings};
pub use tracer::{MessagingSystem, Tracer};
