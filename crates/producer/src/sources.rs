//! Gateways that post in their own form: their settings, credentials and events.

mod credentials;
mod event;
mod file;
mod reload;
mod source;

pub(crate) use credentials::{Address, Denied, check_signature, check_token};
pub(crate) use event::{SourcedEvent, events};
pub use file::{SourceSettings, SourcesFile};
pub(crate) use reload::apply_on_hangup;
pub(crate) use source::{Source, Sources};
