//! Queues of the endpoint under test.

/// Queues among which the events of the endpoint are divided.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Queues {
    One,
    /// Lanes with order per chat.
    Ordered(u8),
    /// Lanes without an order.
    Shared(u8),
}
