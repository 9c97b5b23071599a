//! Task that owns the publishing channel, on a connection that recovers by
//! itself.
//!
//! lapin numbers a publish and queues its frames in two steps, so two tasks that
//! publish on one channel at once can receive each other's confirms.

use backoff::backoff::Backoff;
use lapin::{Channel, Connection, options::ConfirmSelectOptions};
use std::time::Duration;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use wahook_domain::LinkState;

use super::{
    connection::{self, Connected},
    deadline::with_deadline,
    error::{BrokerError, ConnectError},
    flow::{Flow, Request},
    keyed::ByKey,
    properties,
    uri::BrokerUri,
};
use crate::{
    error::PublishError, message::Outgoing, reconnect::reconnect_backoff, topology::Topology,
};

/// Publishes that wait for the task.
const QUEUED_REQUESTS: usize = 1024;
/// Senders of publishes; `None` while disconnected.
type Requests = watch::Receiver<Option<mpsc::Sender<Request>>>;

/// Handle for publishing at RabbitMQ; clones share one channel.
#[derive(Clone)]
pub(crate) struct RemotePublisher {
    requests: Requests,
    by_key: ByKey,
}

/// Running task behind the handles.
pub(crate) struct RunningTask {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RemotePublisher {
    /// Starts the task. Connecting continues in the background indefinitely.
    pub(crate) fn start(
        uri: BrokerUri,
        name: &str,
        topology: Topology,
    ) -> (Self, watch::Receiver<LinkState>, RunningTask) {
        let (requests_sender, requests) = watch::channel(None);
        let (link_sender, link) = watch::channel(LinkState::default());
        let (stop, stopped) = watch::channel(false);
        let by_key = ByKey::default();
        let supervisor = Supervisor {
            by_key: by_key.clone(),
            uri,
            name: name.to_owned(),
            topology,
            requests: requests_sender,
            link: link_sender,
            stopped,
        };
        let task = tokio::spawn(supervisor.run());
        (Self { requests, by_key }, link, RunningTask { stop, task })
    }

    /// Publishes and waits for the confirm, without a deadline.
    pub(crate) async fn publish(&self, message: Outgoing) -> Result<(), PublishError> {
        let requests = self.requests.borrow().clone();
        let requests = requests.ok_or(PublishError::Disconnected)?;
        let message = if self.by_key.is_used() {
            message.by_key()
        } else {
            message
        };
        let (request, confirmed) = Request::of(message);
        requests
            .send(request)
            .await
            .map_err(|_| PublishError::Disconnected)?;
        confirmed.await.unwrap_or(Err(PublishError::Interrupted))
    }

    /// Publishes messages in their order, without a deadline. All go to one connection, so
    /// that none is durable unless those before it are.
    pub(crate) async fn publish_in_order(
        &self,
        messages: Vec<Outgoing>,
    ) -> Result<(), PublishError> {
        let requests = self.requests.borrow().clone();
        let requests = requests.ok_or(PublishError::Disconnected)?;
        let mut confirms = Vec::with_capacity(messages.len());
        for message in messages {
            let (mut request, confirmed) = Request::of(message);
            request.is_ordered = true;
            requests
                .send(request)
                .await
                .map_err(|_| PublishError::Disconnected)?;
            confirms.push(confirmed);
        }
        for confirmed in confirms {
            confirmed.await.unwrap_or(Err(PublishError::Interrupted))?;
        }
        Ok(())
    }
}

impl Request {
    fn of(message: Outgoing) -> (Self, oneshot::Receiver<Result<(), PublishError>>) {
        let (done, confirmed) = oneshot::channel();
        let request = Self {
            id: message.metadata.id.clone(),
            exchange: message.exchange.into(),
            routing_key: message.routing_key.into(),
            properties: properties::encode(message.metadata, message.expires_after),
            payload: message.payload,
            is_ordered: false,
            done,
        };
        (request, confirmed)
    }
}

impl RunningTask {
    /// Waits until the task has ended by itself.
    pub(crate) async fn ended(&mut self) {
        // The panic is logged by its hook.
        let _ = (&mut self.task).await;
    }

    /// Waits for confirms in flight, for at most `limit`, then closes the
    /// connection.
    pub(crate) async fn close(self, limit: Duration) {
        self.stop.send_replace(true);
        if !self.task.is_finished() && timeout(limit, self.task).await.is_err() {
            tracing::warn!("publisher did not stop in time");
        }
    }
}

struct Supervisor {
    by_key: ByKey,
    uri: BrokerUri,
    name: String,
    topology: Topology,
    requests: watch::Sender<Option<mpsc::Sender<Request>>>,
    link: watch::Sender<LinkState>,
    stopped: watch::Receiver<bool>,
}

impl Supervisor {
    async fn run(mut self) {
        let mut backoff = reconnect_backoff();
        // What ends a connection soon, such as a missing permission, may do so again.
        let mut after_short = reconnect_backoff();
        while !*self.stopped.borrow() {
            match unless_stopped(&mut self.stopped.clone(), self.connect()).await {
                None => break,
                Some(Ok((connected, channel))) => {
                    backoff.reset();
                    let since = Instant::now();
                    self.serve(&connected, &channel).await;
                    connection::close(&connected.connection).await;
                    if since.elapsed() >= after_short.max_interval {
                        after_short.reset();
                    } else {
                        let longest = after_short.max_interval;
                        let pause = after_short.next_backoff().unwrap_or(longest);
                        unless_stopped(&mut self.stopped.clone(), sleep(pause)).await;
                    }
                }
                Some(Err(error)) => {
                    let pause = backoff.next_backoff().unwrap_or(backoff.max_interval);
                    tracing::warn!(%error, broker = %self.uri, ?pause, "publisher cannot connect, retrying");
                    self.link.send_modify(|link| link.lost(error.to_string()));
                    unless_stopped(&mut self.stopped.clone(), sleep(pause)).await;
                }
            }
        }
    }

    async fn connect(&self) -> Result<(Connected, Channel), ConnectError> {
        let connected = connection::connect(&self.uri, &self.name, &self.topology).await?;
        let channel = connection::channel(&connected.connection).await?;
        let selected = channel.confirm_select(ConfirmSelectOptions::default());
        with_deadline(selected).await??;
        Ok((connected, channel))
    }

    /// Queries the broker for lanes; returns the channel for further queries.
    async fn query_lanes(&self, connection: &Connection) -> Option<Channel> {
        let channel = connection::channel(connection).await.ok()?;
        match self.by_key.learn(&channel).await {
            Ok(()) => Some(channel),
            Err(error) => {
                tracing::debug!(%error, "lanes could not be queried");
                None
            }
        }
    }

    async fn serve(&mut self, connected: &Connected, channel: &Channel) {
        let connection = &connected.connection;
        let (sender, receiver) = mpsc::channel(QUEUED_REQUESTS);
        // Before the query, which an alarm may block.
        let events = connection.events_listener();
        // Queried only where events are published, not by consumers.
        let queries = if self.topology.announces_lanes() {
            self.query_lanes(connection).await
        } else {
            None
        };
        let following = queries.map(|channel| {
            let by_key = self.by_key.clone();
            tokio::spawn(async move { by_key.follow(&channel).await })
        });
        self.requests.send_replace(Some(sender));
        self.link.send_modify(LinkState::connected);
        tracing::info!(broker = %self.uri, host = connected.server, "publisher connected");
        let ended = Flow::new(channel, connected.has_others)
            .run(
                receiver,
                events,
                &self.link,
                &mut self.stopped,
                &self.requests,
            )
            .await;
        self.requests.send_replace(None);
        if let Some(following) = following {
            following.abort();
        }
        let reason = ended.err().map_or_else(
            || "stopped".to_owned(),
            |e| BrokerError::from(e).to_string(),
        );
        if !*self.stopped.borrow() {
            tracing::warn!(error = %reason, "publisher connection lost, reconnecting");
        }
        self.link.send_modify(|link| link.lost(reason));
    }
}

async fn unless_stopped<T>(
    stopped: &mut watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        value = work => Some(value),
        _ = stopped.wait_for(|stop| *stop) => None,
    }
}
