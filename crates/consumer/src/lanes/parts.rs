//! Parts of a lane.

use std::sync::Arc;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::task::TaskTracker;
use wahook_domain::LaneCount;
use wahook_queue::ConsumerConnection;

use super::{balance::Balance, lease::Lease, panics::Panics};
use crate::deliverer::Deliverer;

/// Number of the first earlier lane; the lanes of now are below.
pub(super) const FIRST_EARLIER: usize = LaneCount::MAX.get() as usize;

/// Lane, and what its owner needs.
pub(super) struct Lane {
    /// Position among the endpoint's lanes, from 0.
    pub(super) number: usize,
    /// Name of its queue.
    pub(super) queue: String,
    pub(super) endpoint: watch::Receiver<Arc<Deliverer>>,
    pub(super) connection: Arc<ConsumerConnection>,
    pub(super) lease: Arc<Lease>,
    pub(super) balance: Arc<Balance>,
    /// Limits the look-ups in the log.
    pub(super) look_ups: Arc<Semaphore>,
    pub(super) panics: Arc<Panics>,
    /// Notified when an owner begins to use a slot.
    pub(super) slot_opened: Arc<Notify>,
    pub(super) deliveries: TaskTracker,
}
