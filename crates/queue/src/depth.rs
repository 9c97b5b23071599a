//! Depth of a queue.

/// Number of messages and consumers of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that no consumer holds. A data file counts all.
    pub messages: u32,
    /// Consumers of the broker; 0 in a data file.
    pub consumers: u32,
}
