//! Wakes owners of lanes with parked events.
//!
//! A consumer learns that it owns a lane by the lane's first message. After the end of an
//! owner, a lane may have parked events and no message, so its next owner would not learn
//! of them. A marker in the lane is its notice.

use futures_util::{StreamExt, stream};
use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;
use wahook_domain::EventId;
use wahook_queue::{ConnectError, ConsumerConnection, Depth, Outgoing, topology};

use super::{balance::Balance, parts::FIRST_EARLIER};
use crate::{deliverer::Deliverer, session_error::SessionError};

/// Interval between looks at all slots. A look takes the broker 0.1 ms for each slot.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Lanes that are looked at side by side. One without a leader takes the time limit of a step.
const LOOKS: usize = 4;

/// Lanes of one endpoint.
pub(super) struct Wake {
    lanes: Vec<WatchedLane>,
    endpoint: watch::Receiver<Arc<Deliverer>>,
    connection: Arc<ConsumerConnection>,
}

struct WatchedLane {
    number: usize,
    queue: String,
    slots: Vec<String>,
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
        let lanes = numbered.map(|(number, lane)| WatchedLane {
            number,
            queue: lane.clone(),
            slots: topology::slot_queues(lane),
        });
        Self {
            lanes: lanes.collect(),
            endpoint: endpoint.clone(),
            connection: Arc::clone(connection),
        }
    }

    /// Wakes owners, and counts the parked events of this consumer's lanes, until the
    /// connection breaks.
    pub(super) async fn keep(self, balance: Arc<Balance>) -> Result<Infallible, SessionError> {
        loop {
            sleep(LOOK_EVERY).await;
            let looks = self.lanes.iter().map(|lane| self.look(lane, &balance));
            look_at_each(looks.collect()).await?;
        }
    }

    async fn look(&self, lane: &WatchedLane, balance: &Balance) -> Result<(), ConnectError> {
        let slots = self.connection.depths(&lane.slots).await?;
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
        Ok(())
    }

    /// Returns true if the lane has a consumer, and no message by which its owner learns of it.
    async fn needs_notice(&self, lane: &str) -> Result<bool, ConnectError> {
        let depths = self.connection.depths(&[lane.to_owned()]).await?;
        let is_silent = |lane: &Depth| lane.consumers > 0 && lane.messages == 0;
        Ok(depths.iter().all(is_silent))
    }
}

/// Looks at all lanes. A lane of which a queue has no leader is left out.
async fn look_at_each<F>(looks: Vec<F>) -> Result<(), ConnectError>
where
    F: Future<Output = Result<(), ConnectError>>,
{
    let mut looks = stream::iter(looks).buffer_unordered(LOOKS);
    while let Some(looked) = looks.next().await {
        match looked {
            Ok(()) | Err(ConnectError::NoSubscription { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[tokio::test]
    async fn lane_without_a_leader_hides_no_other_and_a_lost_connection_ends_the_look() {
        let seen = RefCell::new(Vec::new());
        let look = async |lane: usize| {
            seen.borrow_mut().push(lane);
            match lane % 2 {
                0 => Err(ConnectError::NoSubscription {
                    queue: String::new(),
                }),
                _ => Ok(()),
            }
        };
        let looked = look_at_each((0..9).map(look).collect()).await;
        assert!(looked.is_ok());
        assert_eq!(*seen.borrow(), (0..9).collect::<Vec<_>>());
        let looked = look_at_each(vec![async { Err(ConnectError::Interrupted) }]).await;
        assert!(matches!(looked, Err(ConnectError::Interrupted)));
    }
}
