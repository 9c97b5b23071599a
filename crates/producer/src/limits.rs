//! Limits that several parts share.

/// Largest event, in bytes: RabbitMQ 4 accepts messages of 16 MiB, including
/// their properties.
pub(crate) const LARGEST_EVENT: usize = 15 << 20;
