//! Lanes of an ordered endpoint: work queues that each have one owner among all consumers.
//! The owner delivers the events of a key one after another and the keys side by side.

mod balance;
mod head;
mod lane;
mod lease;
mod owner;

use std::{convert::Infallible, sync::Arc};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::task::TaskTracker;
use wahook_queue::{ConsumerConnection, topology};

use crate::{deliverer::Deliverer, session_error::SessionError};
use balance::Balance;
use lane::Lane;
use lease::Lease;

/// Owns lanes of the endpoint until the connection breaks. The endpoint's settings may
/// change at any time.
pub(crate) async fn work(
    mut endpoint: watch::Receiver<Arc<Deliverer>>,
    connection: Arc<ConsumerConnection>,
    deliveries: TaskTracker,
) -> Result<Infallible, SessionError> {
    loop {
        let queues = endpoint.borrow_and_update().lanes.clone();
        let mut tasks = JoinSet::new();
        let lease = Arc::new(Lease::of(&connection));
        let balance = Arc::new(Balance::default());
        for (number, queue) in queues.iter().enumerate() {
            let lane = Lane {
                number,
                queue: queue.clone(),
                endpoint: endpoint.clone(),
                connection: Arc::clone(&connection),
                lease: Arc::clone(&lease),
                balance: Arc::clone(&balance),
                deliveries: deliveries.clone(),
            };
            tasks.spawn(lane.work());
        }
        if let Some(count) = endpoint.borrow().settings.lane_count() {
            // Each consumer of the endpoint subscribes to it.
            let members = topology::work_queue(&endpoint.borrow().name);
            let connection = Arc::clone(&connection);
            tasks.spawn(async move {
                let poll = |members| balance.poll(count, members);
                lease.keep(&connection, &members, poll).await
            });
        }
        tokio::select! {
            Some(ended) = tasks.join_next() => {
                let Err(error) = ended?;
                return Err(error);
            }
            // Fails if the worker is gone, together with this task.
            _ = endpoint.wait_for(|endpoint| endpoint.lanes != queues) => {}
        }
        tasks.shutdown().await;
    }
}
