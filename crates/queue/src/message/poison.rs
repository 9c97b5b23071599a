//! Reasons for which a message cannot be decoded.

/// Version of the envelope; a message of another version is poison.
pub const WIRE_VERSION: i64 = 1;

/// Reasons for which a message cannot be decoded. Such a message is
/// dead-lettered unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// A required property or header is missing or has a wrong type.
    #[error("{0} is missing or malformed")]
    Missing(&'static str),
    /// The envelope has an unknown version.
    #[error("unknown envelope version {0} (this program reads {WIRE_VERSION})")]
    Version(i64),
    /// The payload is not a canonical event.
    #[error("the payload is not an event: {0}")]
    Payload(String),
}
