//! Publisher with confirms: many publishes in flight on one channel, on a
//! connection that recovers by itself.
//!
//! One task owns the channel. lapin numbers a publish and queues its frames in
//! two steps, so two tasks that publish on one channel at once can receive each
//! other's confirms.

use backoff::backoff::Backoff;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, Event,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use wahook_domain::EventId;
use wahook_failpoint::{self as failpoint, Failpoint};

use crate::{
    broker::{self, Broker, BrokerUri, ConnectError, reconnect_backoff},
    confirms::{RawConfirm, Resolution, Returns},
    link::LinkState,
    local::{self, Command, SharedQueue},
    message::Outgoing,
    rabbitmq::properties,
    topology::Topology,
};

/// Publishes that wait for the task.
const QUEUED_REQUESTS: usize = 1024;
/// Limit of unconfirmed publishes. Further ones are refused, so that a broker
/// that confirms nothing costs a bounded amount of memory.
const MAX_UNCONFIRMED: usize = 8192;
/// Publishes started together before confirms are processed again.
const MAX_BURST: usize = 64;

/// Reasons for which a publish is not known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No connection; nothing was sent.
    #[error("the broker is not connected")]
    Disconnected,
    /// The broker has an alarm; nothing was sent.
    #[error("the broker blocks publishers (memory or disk alarm)")]
    Blocked,
    /// Too many unconfirmed publishes; nothing was sent.
    #[error("too many publishes wait for their confirms")]
    Busy,
    /// The connection was lost before the confirm: it may be durable or not.
    #[error("the connection was lost before the confirm")]
    Interrupted,
    /// No confirm within the deadline: it may be durable or not.
    #[error("no confirm within the deadline")]
    TimedOut,
    /// No queue accepts the message.
    #[error("no queue is bound for the message")]
    Unroutable,
    /// The broker refused it (a full queue, or an internal fault).
    #[error("the broker refused the message")]
    Refused,
}

struct Request {
    exchange: ShortString,
    routing_key: ShortString,
    properties: BasicProperties,
    payload: Bytes,
    id: Option<EventId>,
    done: oneshot::Sender<Result<(), PublishError>>,
}

/// Handle for publishing; clones share one channel.
#[derive(Clone)]
pub struct Publisher {
    backend: Backend,
    link: watch::Receiver<LinkState>,
    deadline: Duration,
}

#[derive(Clone)]
enum Backend {
    /// The task that owns the channel; `None` while disconnected.
    Channel(watch::Receiver<Option<mpsc::Sender<Request>>>),
    /// The store within this process.
    Local(SharedQueue),
}

/// Task behind the handles; `None` for a store within this process.
pub struct PublisherTask(Option<Running>);

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Starts the task. `deadline` limits the wait of a publish for its
    /// confirm. Connecting continues in the background indefinitely.
    #[must_use]
    pub fn start(
        broker: impl Into<Broker>,
        name: &str,
        topology: Topology,
        deadline: Duration,
    ) -> (Self, PublisherTask) {
        match broker.into() {
            Broker::RabbitMq(uri) => Self::connect(uri, name, topology, deadline),
            Broker::Local(queue) => {
                queue.submit(Command::Declare(topology));
                let publisher = Self {
                    link: queue.link(),
                    backend: Backend::Local(queue),
                    deadline,
                };
                (publisher, PublisherTask(None))
            }
        }
    }

    fn connect(
        uri: BrokerUri,
        name: &str,
        topology: Topology,
        deadline: Duration,
    ) -> (Self, PublisherTask) {
        let (requests_sender, requests) = watch::channel(None);
        let (link_sender, link) = watch::channel(LinkState::default());
        let (stop, stopped) = watch::channel(false);
        let supervisor = Supervisor {
            uri,
            name: name.to_owned(),
            topology,
            requests: requests_sender,
            link: link_sender,
            stopped,
        };
        let task = tokio::spawn(supervisor.run());
        (
            Self {
                backend: Backend::Channel(requests),
                link,
                deadline,
            },
            PublisherTask(Some(Running { stop, task })),
        )
    }

    /// Returns the state of the connection, to watch.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<LinkState> {
        self.link.clone()
    }

    /// Publishes and waits for the confirm. `Ok` means that at least one queue
    /// has the message, durably.
    pub async fn publish(&self, message: Outgoing) -> Result<(), PublishError> {
        if self.link.borrow().blocked.is_some() {
            return Err(PublishError::Blocked);
        }
        let step = async {
            match &self.backend {
                Backend::Channel(requests) => request(requests, message).await,
                Backend::Local(queue) => local::publish(queue, message).await,
            }
        };
        timeout(self.deadline, step)
            .await
            .unwrap_or(Err(PublishError::TimedOut))
    }

    /// Publishes repeatedly until the broker has confirmed. The copies that an
    /// ambiguous failure leaves are duplicates with one id.
    pub async fn publish_until_confirmed(&self, message: &Outgoing) {
        let mut backoff = reconnect_backoff();
        while let Err(error) = self.publish(message.clone()).await {
            let pause = backoff.next_backoff().unwrap_or(backoff.max_interval);
            tracing::warn!(%error, id = id_text(message.metadata.id.as_ref()), ?pause, "publish failed, retrying");
            // A new connection is used at once.
            tokio::select! {
                () = sleep(pause) => {}
                () = self.until_connected(), if error == PublishError::Disconnected => {}
            }
        }
    }

    async fn until_connected(&self) {
        if self.link.clone().wait_for(|link| link.up).await.is_err() {
            // The task has ended: only the pause can end the wait.
            std::future::pending::<()>().await;
        }
    }
}

async fn request(
    requests: &watch::Receiver<Option<mpsc::Sender<Request>>>,
    message: Outgoing,
) -> Result<(), PublishError> {
    let requests = requests.borrow().clone();
    let requests = requests.ok_or(PublishError::Disconnected)?;
    let (done, confirmed) = oneshot::channel();
    requests
        .send(Request {
            id: message.metadata.id.clone(),
            exchange: message.exchange.into(),
            routing_key: message.routing_key.into(),
            properties: properties::encode(message.metadata, message.expires_after),
            payload: message.payload,
            done,
        })
        .await
        .map_err(|_| PublishError::Disconnected)?;
    confirmed.await.unwrap_or(Err(PublishError::Interrupted))
}

impl PublisherTask {
    /// Waits for confirms in flight, for at most `limit`, then closes the
    /// connection.
    pub async fn close(self, limit: Duration) {
        let Some(running) = self.0 else { return };
        running.stop.send_replace(true);
        if timeout(limit, running.task).await.is_err() {
            tracing::warn!("publisher did not stop in time");
        }
    }
}

struct Supervisor {
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
        while !*self.stopped.borrow() {
            match unless_stopped(&mut self.stopped.clone(), self.connect()).await {
                None => break,
                Some(Ok((connection, channel))) => {
                    backoff.reset();
                    self.serve(&connection, &channel).await;
                    broker::close(&connection).await;
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

    async fn connect(&self) -> Result<(Connection, Channel), ConnectError> {
        let connection = broker::connect(&self.uri, &self.name, &self.topology).await?;
        let channel = broker::channel(&connection).await?;
        let selected = channel.confirm_select(ConfirmSelectOptions::default());
        broker::within_limit(selected).await?;
        Ok((connection, channel))
    }

    async fn serve(&mut self, connection: &Connection, channel: &Channel) {
        let (sender, receiver) = mpsc::channel(QUEUED_REQUESTS);
        let events = connection.events_listener();
        self.requests.send_replace(Some(sender));
        self.link.send_modify(LinkState::connected);
        tracing::info!(broker = %self.uri, "publisher connected");
        let mut flow = Flow {
            channel: Arc::new(channel.clone()),
            in_flight: FuturesUnordered::new(),
            returns: Returns::default(),
        };
        let ended = flow
            .run(
                receiver,
                events,
                &self.link,
                &mut self.stopped,
                &self.requests,
            )
            .await;
        self.requests.send_replace(None);
        let reason = ended
            .err()
            .map_or_else(|| "stopped".to_owned(), |e| e.to_string());
        if !*self.stopped.borrow() {
            tracing::warn!(error = %reason, "publisher connection lost, reconnecting");
        }
        self.link.send_modify(|link| link.lost(reason));
    }
}

/// Finished publish, with lapin's result.
struct FinishedPublish {
    id: Option<EventId>,
    confirm: lapin::Result<RawConfirm>,
    done: oneshot::Sender<Result<(), PublishError>>,
}

/// Publishes of one connection.
struct Flow<F> {
    /// In an `Arc`, because cloning a `Channel` costs some fifteen clones.
    channel: Arc<Channel>,
    in_flight: FuturesUnordered<F>,
    returns: Returns,
}

impl Flow<futures_util::future::BoxFuture<'static, FinishedPublish>> {
    async fn run(
        &mut self,
        mut requests: mpsc::Receiver<Request>,
        events: impl futures_util::Stream<Item = Event>,
        link: &watch::Sender<LinkState>,
        stopped: &mut watch::Receiver<bool>,
        handles: &watch::Sender<Option<mpsc::Sender<Request>>>,
    ) -> lapin::Result<()> {
        let mut events = std::pin::pin!(events);
        let mut open = true;
        while open || !self.in_flight.is_empty() {
            tokio::select! {
                request = requests.recv(), if open => match request {
                    Some(request) => {
                        self.begin(request);
                        for _ in 1..MAX_BURST {
                            let Ok(request) = requests.try_recv() else { break };
                            self.begin(request);
                        }
                    }
                    None => open = false,
                },
                Some(done) = self.in_flight.next() => self.resolve(done)?,
                Some(event) = events.next() => record_event(event, link)?,
                _ = stopped.wait_for(|stop| *stop), if open => {
                    handles.send_replace(None);
                    requests.close();
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, request: Request) {
        if self.in_flight.len() >= MAX_UNCONFIRMED {
            let _ = request.done.send(Err(PublishError::Busy));
        } else {
            self.in_flight
                .push(publish(Arc::clone(&self.channel), request).boxed());
        }
    }

    /// Answers all publishes whose confirms are ready, together (see
    /// [`Returns`]).
    fn resolve(&mut self, first: FinishedPublish) -> lapin::Result<()> {
        let mut ready = vec![first];
        while let Some(Some(done)) = self.in_flight.next().now_or_never() {
            ready.push(done);
        }
        let mut failure = None;
        let mut resolved = Vec::with_capacity(ready.len());
        for done in ready {
            match done.confirm {
                Ok(confirm) => resolved.push((done.id, confirm, done.done)),
                Err(error) => {
                    let _ = done.done.send(Err(PublishError::Interrupted));
                    failure = Some(error);
                }
            }
        }
        let resolutions = self
            .returns
            .resolve(resolved.iter().map(|(id, v, _)| (id_text(id.as_ref()), v)));
        for ((_, _, done), resolution) in resolved.into_iter().zip(resolutions) {
            // The send fails if the caller's deadline has passed.
            let _ = done.send(match resolution {
                Resolution::Confirmed => Ok(()),
                Resolution::Refused => Err(PublishError::Refused),
                Resolution::Unroutable => Err(PublishError::Unroutable),
            });
        }
        failure.map_or(Ok(()), Err)
    }
}

async fn publish(channel: Arc<Channel>, request: Request) -> FinishedPublish {
    let Request {
        exchange,
        routing_key,
        properties,
        payload,
        id,
        done,
    } = request;
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let steps = async {
        let confirm = channel
            .basic_publish(exchange, routing_key, options, &payload, properties)
            .await?;
        failpoint::pass_into(Failpoint::Published);
        confirm.await
    };
    let confirm = steps.await.map(|confirmation| match confirmation {
        Confirmation::Ack(returned) => RawConfirm::Ack {
            returned: returned_id(returned),
        },
        Confirmation::Nack(returned) => RawConfirm::Nack {
            returned: returned_id(returned),
        },
        // The channel is in confirm mode. Otherwise nothing would be proven.
        Confirmation::NotRequested => RawConfirm::Nack { returned: None },
    });
    FinishedPublish { id, confirm, done }
}

/// Returns the id as in the message, where a missing one is empty.
fn id_text(id: Option<&EventId>) -> &str {
    id.map_or("", EventId::as_str)
}

fn returned_id(returned: Option<BasicReturnMessage>) -> Option<String> {
    let id = returned?.delivery.properties.message_id().clone();
    Some(id.map(String::from).unwrap_or_default())
}

fn record_event(event: Event, link: &watch::Sender<LinkState>) -> lapin::Result<()> {
    match event {
        Event::ConnectionBlocked(reason) => {
            tracing::warn!(%reason, "the broker blocks publishers");
            link.send_modify(|link| link.blocked = Some(reason));
        }
        Event::ConnectionUnblocked => {
            tracing::info!("the broker accepts messages again");
            link.send_modify(|link| link.blocked = None);
        }
        Event::Error(error) => return Err(error),
        _ => {}
    }
    Ok(())
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
