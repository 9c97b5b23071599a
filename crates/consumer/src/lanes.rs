//! Lanes of an ordered endpoint: work queues that each have one owner among all consumers.
//! The owner delivers the events of a key one after another and the keys side by side.

mod arrivals;
mod balance;
mod head;
mod held;
mod lane;
mod lease;
mod mover;
mod owner;
mod panics;
mod parts;
mod slots;
mod wake;

use std::{collections::BTreeSet, convert::Infallible, sync::Arc};
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
};
use tokio_util::task::TaskTracker;
use wahook_queue::{ConsumerConnection, topology};

use crate::{deliverer::Deliverer, session_error::SessionError};
use balance::Balance;
use lease::Lease;
use panics::Panics;
use parts::{FIRST_EARLIER, Lane};
use wake::Wake;

/// Look-ups in the log at once, for events of lanes that were taken over.
const LOOK_UPS: usize = 32;

/// Owns lanes of one endpoint on one connection. The endpoint's settings may change at any
/// time.
pub(crate) struct LaneWorker {
    pub(crate) endpoint: watch::Receiver<Arc<Deliverer>>,
    /// Queues of the lanes that the endpoint had with other settings.
    pub(crate) earlier: watch::Receiver<BTreeSet<String>>,
    pub(crate) connection: Arc<ConsumerConnection>,
    pub(crate) deliveries: TaskTracker,
}

impl LaneWorker {
    /// Runs until the connection breaks.
    pub(crate) async fn work(mut self) -> Result<Infallible, SessionError> {
        loop {
            let queues = self.endpoint.borrow_and_update().lanes.clone();
            let mut earlier = self.earlier.borrow_and_update().clone();
            earlier.retain(|queue| !queues.contains(queue));
            let mut tasks = self.start(&queues, &earlier);
            tokio::select! {
                Some(ended) = tasks.join_next() => {
                    let Err(error) = ended?;
                    return Err(error);
                }
                // Both fail if the worker is gone, together with this task.
                _ = self.endpoint.wait_for(|endpoint| endpoint.lanes != queues) => {}
                _ = self.earlier.changed() => {}
            }
            tasks.shutdown().await;
        }
    }

    fn start(
        &self,
        queues: &[String],
        earlier: &BTreeSet<String>,
    ) -> JoinSet<Result<Infallible, SessionError>> {
        let mut tasks = JoinSet::new();
        let lease = Arc::new(Lease::of(&self.connection));
        let balance = Arc::new(Balance::default());
        let look_ups = Arc::new(Semaphore::new(LOOK_UPS));
        let panics = Arc::new(Panics::default());
        let slot_opened = Arc::new(Notify::new());
        let numbered = queues.iter().enumerate();
        let numbered = numbered.chain((FIRST_EARLIER..).zip(earlier));
        for (number, queue) in numbered {
            let lane = Lane {
                number,
                queue: queue.clone(),
                endpoint: self.endpoint.clone(),
                connection: Arc::clone(&self.connection),
                lease: Arc::clone(&lease),
                balance: Arc::clone(&balance),
                look_ups: Arc::clone(&look_ups),
                panics: Arc::clone(&panics),
                slot_opened: Arc::clone(&slot_opened),
                deliveries: self.deliveries.clone(),
            };
            tasks.spawn(lane.work());
        }
        let lanes = queues.len();
        if !tasks.is_empty() {
            let wake = Wake::new(
                queues,
                earlier,
                &self.endpoint,
                &self.connection,
                &slot_opened,
            );
            tasks.spawn(wake.keep(Arc::clone(&balance)));
            // Each consumer of the endpoint subscribes to it.
            let members = topology::work_queue(&self.endpoint.borrow().name);
            let connection = Arc::clone(&self.connection);
            tasks.spawn(async move {
                let poll = |members| balance.poll(lanes, members);
                lease.keep(&connection, &members, poll).await
            });
        }
        tasks
    }
}
