//! Fault of an event: a deviation from the documented format.

use serde::Serialize;

/// Fault of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Place, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// Description: "must be a string, is null".
    pub message: String,
}

impl Fault {
    /// Creates the fault of a place.
    #[must_use]
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}
