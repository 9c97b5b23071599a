//! Consumer: takes events from the work queues, delivers them signed and
//! retried, and records each result.

mod admission;
mod batching;
mod bounded_subscription;
mod circuit_reporter;
mod client;
mod conclusion;
mod consumer;
mod consumption;
mod deliverer;
mod delivery;
#[cfg(feature = "mongodb")]
mod distributed;
mod drainer;
mod endpoint_set;
mod failure;
mod known_states;
mod lanes;
mod log_health;
mod log_watch;
mod look_ups;
mod memory;
pub mod metrics;
mod network;
mod operator_server;
mod operator_watch;
mod outages;
mod recorder;
mod reload;
mod resolver;
mod session;
mod session_error;
mod settings;
mod sharing;
mod spread;
mod stranded;
mod tls;
mod tls_failure;
mod traced;
mod unattempted;
mod unfinished;
mod work_queue;
mod worker;

pub use client::{classify, put_headers};
pub use consumer::{Backends, Consumer};
#[cfg(feature = "mongodb")]
pub use distributed::{ConsumerSettings, connect};
pub use endpoint_set::topology;
pub use settings::{
    DeliverySettings, EndpointSettings, Endpoints, EndpointsFile, FileFault, LaneSettings,
    OnExhausted, PROGRAM_SETTINGS, ProxyUrl, SETTINGS, Secrets, WEBHOOK_ENDPOINTS, WEBHOOK_URL,
};
pub use tls::{ClientCertificate, TlsSettings};
