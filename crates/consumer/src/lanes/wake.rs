//! Wakes owners of lanes with parked events.
//!
//! A consumer learns that it owns a lane by the lane's first message. After the end of an
//! owner, a lane may have parked events and no message, so its next owner would not learn
//! of them. A marker in the lane is its notice.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;
use wahook_domain::EventId;
use wahook_queue::{ConnectError, ConsumerConnection, Depth, Outgoing, topology};

use super::{balance::Balance, parts::FIRST_EARLIER};
use crate::{deliverer::Deliverer, session_error::SessionError};

/// Interval between looks at all slots. A look takes the broker 0.1 ms for each slot.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Lanes of one endpoint.
pub(super) struct Wake {
    lanes: Vec<WatchedLane>,
    /// Slots of all lanes, in their order.
    slots: Vec<String>,
    endpoint: watch::Receiver<Arc<Deliverer>>,
    connection: Arc<ConsumerConnection>,
}

struct WatchedLane {
    number: usize,
    queue: String,
    /// Number of its slots.
    slots: usize,
}

impl Wake {
    pub(super) fn new(
        lanes: &[String],
        earlier: &BTreeSet<String>,
        endpoint: &watch::Receiver<Arc<Deliverer>>,
        connection: &Arc<ConsumerConnection>,
    ) -> Self {
        let numbered = lanes.iter().enumerate();
        let numbered = numbered.chain((FIRST_EARLIER..).zip(earlier));
        let mut slots = Vec::new();
        let lanes = numbered.map(|(number, lane)| {
            let of_lane = topology::slot_queues(lane);
            let count = of_lane.len();
            slots.extend(of_lane);
            WatchedLane {
                number,
                queue: lane.clone(),
                slots: count,
            }
        });
        Self {
            lanes: lanes.collect(),
            slots,
            endpoint: endpoint.clone(),
            connection: Arc::clone(connection),
        }
    }

    /// Wakes owners, and counts the parked events of this consumer's lanes, until the
    /// connection breaks.
    pub(super) async fn keep(self, balance: Arc<Balance>) -> Result<Infallible, SessionError> {
        loop {
            sleep(LOOK_EVERY).await;
            match self.look(&balance).await {
                // The queue without a leader is the concern of its lane.
                Ok(()) | Err(ConnectError::NoSubscription { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn look(&self, balance: &Balance) -> Result<(), ConnectError> {
        let mut depths = self.connection.depths(&self.slots).await?.into_iter();
        for lane in &self.lanes {
            let slots: Vec<_> = depths.by_ref().take(lane.slots).collect();
            let endpoint = Arc::clone(&self.endpoint.borrow());
            let events: u64 = slots.iter().map(|slot| u64::from(slot.messages)).sum();
            let events = if balance.owns(lane.number) { events } else { 0 };
            let metrics = endpoint.totals.lane(&endpoint.name, lane.number);
            metrics.parked_events(events);
            let is_unread = |slot: &Depth| slot.messages > 0 && slot.consumers == 0;
            if slots.iter().any(is_unread) && self.needs_notice(&lane.queue).await? {
                let marker = Outgoing::marker(&lane.queue, EventId::from(Uuid::new_v4()));
                // After a failure the next look publishes another.
                if let Err(error) = endpoint.publisher.publish(marker).await {
                    tracing::debug!(%error, lane = lane.queue, "owner of parked events not woken");
                }
            }
        }
        Ok(())
    }

    /// Returns true if the lane has a consumer, and no message by which its owner learns of it.
    async fn needs_notice(&self, lane: &str) -> Result<bool, ConnectError> {
        let depths = self.connection.depths(&[lane.to_owned()]).await?;
        let is_silent = |lane: &Depth| lane.consumers > 0 && lane.messages == 0;
        Ok(depths.iter().all(is_silent))
    }
}
