//! Worker of one endpoint on one connection: consumes its work queue and the other queues of its
//! shared lanes ([`crate::consumption`]) and, while the endpoint is paused, probes it with single
//! events.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use wahook_domain::{EndpointName, LaneCount};
use wahook_queue::{ConsumerConnection, topology};

use crate::{
    deliverer::{AttemptKind, Deliverer},
    session_error::SessionError,
    sharing::track_consumers,
    work_queue::WorkQueue,
};

/// Pause after a probe found no event in the queue.
const EMPTY_PAUSE: Duration = Duration::from_secs(1);

/// Messages of unfinished deliveries that one turn takes from the queue. Each has its own channel
/// until its delivery ends.
const UNFINISHED_PER_TURN: usize = 32;

/// Pause after a queue was missing that the settings do not need. RabbitMQ logs an error for each
/// look, and only a consumer with earlier settings declares the queue again.
const MISSING_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Delivers one endpoint's events. The endpoint's settings may change at any time.
pub(crate) struct Worker {
    name: EndpointName,
    endpoint: watch::Sender<Arc<Deliverer>>,
    queues: Mutex<Queues>,
    /// Queues of the ordered lanes that the endpoint had with other settings.
    earlier_lanes: watch::Sender<BTreeSet<String>>,
}

/// Queues that all consumers of an endpoint share, with or without the present settings.
struct Queues {
    /// The work queue is the first.
    all: Vec<Arc<WorkQueue>>,
    /// Memory of the endpoint.
    bytes: usize,
}

impl Worker {
    pub(crate) fn new(endpoint: Arc<Deliverer>) -> Self {
        let worker = Self {
            name: endpoint.name.clone(),
            queues: Mutex::new(Queues {
                all: vec![Arc::new(WorkQueue::of(&endpoint.name))],
                bytes: usize::MAX,
            }),
            endpoint: watch::Sender::new(Arc::clone(&endpoint)),
            earlier_lanes: watch::Sender::default(),
        };
        worker.serve_shared(endpoint.settings.shared_lanes);
        worker
    }

    pub(crate) fn name(&self) -> &EndpointName {
        &self.name
    }

    /// Uses this deliverer from the next attempt on.
    pub(crate) fn replace_deliverer(&self, endpoint: &Arc<Deliverer>) {
        let mut left = Vec::new();
        self.endpoint.send_if_modified(|now| {
            let is_other = !Arc::ptr_eq(now, endpoint);
            if is_other {
                let kept = &endpoint.lanes;
                left.extend(
                    now.lanes
                        .iter()
                        .filter(|lane| !kept.contains(lane))
                        .cloned(),
                );
                *now = Arc::clone(endpoint);
                endpoint.take_effect();
            }
            is_other
        });
        self.serve_earlier_lanes(left);
        self.serve_shared(endpoint.settings.shared_lanes);
    }

    /// Returns the deliverer to use, now and after changes.
    pub(crate) fn deliverers(&self) -> watch::Receiver<Arc<Deliverer>> {
        self.endpoint.subscribe()
    }

    /// Returns the queues that all consumers of the endpoint share, the work queue first.
    pub(crate) fn queues(&self) -> Vec<Arc<WorkQueue>> {
        self.locked_queues().all.clone()
    }

    /// Serves this number of shared lanes as well, as long as this worker lives.
    pub(crate) fn serve_shared(&self, lanes: LaneCount) {
        let mut queues = self.locked_queues();
        for name in topology::further_queues(&self.name, lanes) {
            if queues.all.iter().all(|known| known.name != name) {
                let queue = WorkQueue::of_lane(name, lanes);
                queue.set_memory(queues.bytes, lanes);
                queues.all.push(Arc::new(queue));
            }
        }
    }

    /// Divides the memory of the endpoint, which has this number of shared lanes, among its
    /// queues. Those of another number get as much, until they are empty.
    pub(crate) fn set_memory(&self, bytes: usize, lanes: LaneCount) {
        let mut queues = self.locked_queues();
        queues.bytes = bytes;
        for queue in &queues.all {
            queue.set_memory(bytes, lanes);
        }
    }

    fn locked_queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the queues of the ordered lanes that the endpoint had with other settings.
    pub(crate) fn earlier_lanes(&self) -> watch::Receiver<BTreeSet<String>> {
        self.earlier_lanes.subscribe()
    }

    /// Serves these ordered lanes as well, as long as this worker lives.
    pub(crate) fn serve_earlier_lanes(&self, queues: Vec<String>) {
        self.earlier_lanes.send_if_modified(|now| {
            let before = now.len();
            now.extend(queues);
            now.len() > before
        });
    }

    /// Serves a queue until the connection breaks. One that an earlier number of lanes had may be
    /// deleted.
    pub(crate) async fn work(
        &self,
        queue: &WorkQueue,
        connection: &ConsumerConnection,
        deliveries: &TaskTracker,
    ) -> Result<Infallible, SessionError> {
        loop {
            let mut changes = self.endpoint.subscribe();
            match self.serve(queue, connection, deliveries).await {
                Err(SessionError::Connection(error))
                    if error.is_missing_queue() && !queue.is_needed(&self.current()) =>
                {
                    tracing::debug!(queue = queue.name, %error, "queue of earlier lanes not served");
                    // Ends early if the settings need it again.
                    let _ = timeout(MISSING_PAUSE, changes.changed()).await;
                }
                ended => return ended,
            }
        }
    }

    async fn serve(
        &self,
        queue: &WorkQueue,
        connection: &ConsumerConnection,
        deliveries: &TaskTracker,
    ) -> Result<Infallible, SessionError> {
        loop {
            let mut changes = self.endpoint.subscribe();
            let endpoint = Arc::clone(&changes.borrow_and_update());
            if endpoint.admission.is_paused_by_operator() {
                endpoint.admission.until_resumed_by_operator().await;
            } else if !endpoint.settings.enabled {
                // Cannot fail: `self` owns the sender.
                let _ = changes.changed().await;
            } else if endpoint.admission.is_paused() {
                self.probe(queue, &endpoint, connection, deliveries, &mut changes)
                    .await?;
            } else {
                tokio::select! {
                    ended = self.consume(queue, &endpoint, connection, deliveries, &mut changes) => ended?,
                    Err(error) = track_consumers(&endpoint, connection), if queue.is_first() => return Err(error),
                }
            }
        }
    }

    /// Waits until a probe is due and makes it with the next event of the queue.
    async fn probe(
        &self,
        queue: &WorkQueue,
        endpoint: &Arc<Deliverer>,
        connection: &ConsumerConnection,
        deliveries: &TaskTracker,
        changes: &mut watch::Receiver<Arc<Deliverer>>,
    ) -> Result<(), SessionError> {
        let turn = tokio::select! {
            turn = endpoint.admission.probe_turn() => turn,
            // A request that was in flight has succeeded, or an operator pauses the endpoint.
            () = endpoint.admission.until_not_probed() => return Ok(()),
            _ = changes.changed() => return Ok(()),
        };
        let mut received = None;
        for _ in 0..UNFINISHED_PER_TURN {
            let Some(taken) = connection.take_one(&queue.name).await? else {
                break;
            };
            if !endpoint.is_unfinished(&taken) {
                received = Some(taken);
                break;
            }
            // It can wait longer than a probe should.
            endpoint.set_aside(taken, deliveries);
        }
        let Some(received) = received else {
            drop(turn);
            sleep(EMPTY_PAUSE).await;
            return Ok(());
        };
        let Some(permit) = endpoint.admission.permit().await else {
            return Ok(());
        };
        let prober = Arc::clone(endpoint);
        let probe = deliveries
            .spawn(async move { prober.deliver(received, permit, AttemptKind::Probe).await });
        // A panic is logged already; the broker redelivers the message.
        let _ = probe.await;
        Ok(())
    }

    /// Returns the deliverer to use now.
    pub(crate) fn current(&self) -> Arc<Deliverer> {
        Arc::clone(&self.endpoint.borrow())
    }
}
