//! Key of an event: events with the same key are delivered one after another.

use std::sync::Arc;

/// Value that events share whose order matters, such as their chat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(Arc<str>);

impl OrderKey {
    /// Creates a key from any text; the empty text is the key of events without one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
