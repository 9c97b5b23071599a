//! Worker of one endpoint on one connection: consumes its work queue
//! ([`crate::consumption`]) and, while the endpoint is paused, probes it with single events.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};
use tokio_util::task::TaskTracker;
use wahook_domain::EndpointName;
use wahook_queue::{ConsumerConnection, topology};

use crate::{
    deliverer::{AttemptKind, Deliverer},
    session_error::SessionError,
    sharing::track_consumers,
};

/// Pause after a probe found the queue empty.
const EMPTY_PAUSE: Duration = Duration::from_secs(1);

/// Delivers one endpoint's events. The endpoint's settings may change at any time.
pub(crate) struct Worker {
    name: EndpointName,
    endpoint: watch::Sender<Arc<Deliverer>>,
    /// Queues of the lanes that the endpoint had with other settings.
    earlier_lanes: watch::Sender<BTreeSet<String>>,
}

impl Worker {
    pub(crate) fn new(endpoint: Arc<Deliverer>) -> Self {
        Self {
            name: endpoint.name.clone(),
            endpoint: watch::Sender::new(endpoint),
            earlier_lanes: watch::Sender::default(),
        }
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
    }

    /// Returns the deliverer to use, now and after changes.
    pub(crate) fn deliverers(&self) -> watch::Receiver<Arc<Deliverer>> {
        self.endpoint.subscribe()
    }

    /// Returns the queues of the lanes that the endpoint had with other settings.
    pub(crate) fn earlier_lanes(&self) -> watch::Receiver<BTreeSet<String>> {
        self.earlier_lanes.subscribe()
    }

    /// Serves these lanes as well, as long as this worker lives.
    pub(crate) fn serve_earlier_lanes(&self, queues: Vec<String>) {
        self.earlier_lanes.send_if_modified(|now| {
            let before = now.len();
            now.extend(queues);
            now.len() > before
        });
    }

    /// Runs until the connection breaks.
    pub(crate) async fn work(
        &self,
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
                self.probe(&endpoint, connection, deliveries, &mut changes)
                    .await?;
            } else {
                tokio::select! {
                    ended = self.consume(&endpoint, connection, deliveries, &mut changes) => ended?,
                    Err(error) = track_consumers(&endpoint, connection) => return Err(error),
                }
            }
        }
    }

    /// Waits until a probe is due and makes it with the next event.
    async fn probe(
        &self,
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
        let taken = connection
            .take_one(&topology::work_queue(&self.name))
            .await?;
        let Some(received) = taken else {
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
