//! Common parts of all programs of wahook: settings, telemetry, metrics, the
//! operators' HTTP endpoints, and graceful shutdown.

pub mod address;
pub mod age;
pub mod clock;
pub mod guard;
pub mod hangup;
pub mod health;
pub mod link;
pub mod memory_limit;
pub mod metrics;
pub mod moment;
pub mod ops;
pub mod printable;
pub mod private_file;
pub mod problem;
pub mod program;
pub mod settings;
pub mod shell_text;
pub mod shutdown;
pub mod slots;
pub mod telemetry;
pub mod tls;
pub mod tokens;

pub use address::ListenAddress;
pub use age::Age;
pub use hangup::hangups;
pub use link::Link;
pub use memory_limit::memory_limit;
pub use moment::Moment;
pub use ops::{CheckHandle, Readiness};
pub use printable::printable;
pub use settings::{Effective, Setting, Settings, SettingsFaults};
pub use shutdown::{Shutdown, Trigger};
