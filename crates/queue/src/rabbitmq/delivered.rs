//! Message that the broker delivered.

use bytes::Bytes;
use lapin::{Acker, message::Delivery};

/// Metadata of a message as the broker sends it.
pub(crate) use lapin::BasicProperties as Properties;

/// Unused capacity of a payload above which it is released. lapin doubles the capacity while
/// frames arrive.
const SPARE_BYTES: usize = 64 << 10;

/// Delivered message; the lease settles it.
pub(crate) struct Delivered<L> {
    pub(crate) properties: Properties,
    pub(crate) payload: Bytes,
    pub(crate) redelivered: bool,
    pub(crate) lease: L,
}

impl<L> Delivered<L> {
    pub(super) fn new(delivery: Delivery, lease: impl FnOnce(Acker) -> L) -> Self {
        let mut data = delivery.data;
        if data.capacity() - data.len() > SPARE_BYTES {
            data.shrink_to_fit();
        }
        Self {
            properties: delivery.properties,
            payload: data.into(),
            redelivered: delivery.redelivered,
            lease: lease(delivery.acker),
        }
    }
}
