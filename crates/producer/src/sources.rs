//! Gateways that post in their own form: their settings, credentials and events.

mod credentials;
mod file;
mod intake;
mod reload;
mod source;

pub(crate) use credentials::{Address, Denied, check_signature, check_token};
pub use file::{SourceSettings, SourcesFile};
pub(crate) use intake::{SourcedEvent, events};
pub(crate) use reload::apply_on_hangup;
pub(crate) use source::{Source, Sources};
