//! Message that the broker delivered.

use bytes::Bytes;
use lapin::{Acker, BasicProperties, message::Delivery};

/// Delivered message; the lease settles it.
pub(crate) struct Delivered<L> {
    pub(crate) properties: BasicProperties,
    pub(crate) payload: Bytes,
    pub(crate) redelivered: bool,
    pub(crate) lease: L,
}

impl<L> Delivered<L> {
    pub(super) fn new(delivery: Delivery, lease: impl FnOnce(Acker) -> L) -> Self {
        Self {
            properties: delivery.properties,
            payload: delivery.data.into(),
            redelivered: delivery.redelivered,
            lease: lease(delivery.acker),
        }
    }
}
