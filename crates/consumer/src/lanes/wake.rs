//! Wakes owners of lanes with parked events.
//!
//! A consumer learns that it owns a lane by the lane's first message. After the end of an
//! owner, a lane may have parked events and no message, so its next owner would not learn
//! of them. A marker in the lane is its notice.

use futures_util::{StreamExt, stream};
use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
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
    /// Notified when an owner on this connection begins to use a slot.
    opened: Arc<Notify>,
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
        opened: &Arc<Notify>,
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
            opened: Arc::clone(opened),
        }
    }

    /// Wakes owners, and counts the parked events of this consumer's lanes, until the
    /// connection breaks.
    pub(super) async fn keep(self, balance: Arc<Balance>) -> Result<Infallible, SessionError> {
        // Only owners in this process use the slots of a data file.
        let opened = (!self.connection.is_remote()).then_some(&*self.opened);
        let look = || {
            let looks = self.lanes.iter().map(|lane| self.look(lane, &balance));
            look_at_each(looks.collect())
        };
        Err(keep_looking(opened, look).await.into())
    }

    /// Returns true if a slot of the lane is used.
    async fn look(&self, lane: &WatchedLane, balance: &Balance) -> Result<bool, ConnectError> {
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
        let is_used = |slot: &Depth| slot.messages > 0 || slot.consumers > 0;
        Ok(slots.iter().any(is_used))
    }

    /// Returns true if the lane has a consumer, and no message by which its owner learns of it.
    async fn needs_notice(&self, lane: &str) -> Result<bool, ConnectError> {
        let depths = self.connection.depths(&[lane.to_owned()]).await?;
        let is_silent = |lane: &Depth| lane.consumers > 0 && lane.messages == 0;
        Ok(depths.iter().all(is_silent))
    }
}

/// Looks again and again until the connection breaks. With `opened`, which is notified when a
/// slot is opened, no look follows one that has found no slot in use, until then.
async fn keep_looking<F>(opened: Option<&Notify>, look: impl Fn() -> F) -> ConnectError
where
    F: Future<Output = Result<bool, ConnectError>>,
{
    loop {
        sleep(LOOK_EVERY).await;
        match look().await {
            Ok(true) => {}
            Ok(false) => {
                if let Some(opened) = opened {
                    opened.notified().await;
                }
            }
            Err(error) => return error,
        }
    }
}

/// Looks at all lanes, and returns true if a slot is used. A lane of which a queue has no
/// leader is left out.
async fn look_at_each<F>(looks: Vec<F>) -> Result<bool, ConnectError>
where
    F: Future<Output = Result<bool, ConnectError>>,
{
    let mut looks = stream::iter(looks).buffer_unordered(LOOKS);
    let mut are_used = false;
    while let Some(looked) = looks.next().await {
        match looked {
            Ok(is_used) => are_used |= is_used,
            Err(ConnectError::NoSubscription { .. }) => are_used = true,
            Err(error) => return Err(error),
        }
    }
    Ok(are_used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use tokio::time::timeout;

    #[tokio::test]
    async fn lane_without_a_leader_hides_no_other_and_a_lost_connection_ends_the_look() {
        let seen = RefCell::new(Vec::new());
        let look = async |lane: usize| {
            seen.borrow_mut().push(lane);
            match lane % 2 {
                0 => Err(ConnectError::NoSubscription {
                    queue: String::new(),
                }),
                _ => Ok(false),
            }
        };
        let looked = look_at_each((0..9).map(look).collect()).await;
        assert!(looked.is_ok_and(|are_used| are_used));
        assert_eq!(*seen.borrow(), (0..9).collect::<Vec<_>>());
        let looked = look_at_each(vec![async { Err(ConnectError::Interrupted) }]).await;
        assert!(matches!(looked, Err(ConnectError::Interrupted)));
    }

    #[tokio::test(start_paused = true)]
    async fn data_file_without_used_slots_is_looked_at_once_one_is_opened() {
        let opened = Notify::new();
        for (notified, used, expected) in [
            (Some(&opened), false, [1, 1, 2]),
            (Some(&opened), true, [3, 6, 9]),
            (None, false, [3, 6, 9]),
        ] {
            let looks = Cell::new(0);
            let mut looking = Box::pin(keep_looking(notified, async || {
                looks.set(looks.get() + 1);
                Ok(used)
            }));
            let mut counted = Vec::new();
            for _ in expected {
                if counted.len() == 2 {
                    opened.notify_one();
                }
                let some_time = 3 * LOOK_EVERY + LOOK_EVERY / 100;
                assert!(timeout(some_time, &mut looking).await.is_err());
                counted.push(looks.get());
            }
            assert_eq!(counted, expected, "{used}");
        }
    }
}
