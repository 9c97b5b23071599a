//! The confirmed publisher: many publishes in flight on one channel, each told
//! when the broker has it durably, on a connection that heals by itself.
//!
//! One task owns the channel. lapin numbers a publish and queues its frames in
//! two steps, so two tasks that publish on one channel at once can be confirmed
//! for each other's message; here nobody else ever touches it.

use backoff::backoff::Backoff;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use lapin::{
    Channel, Confirmation, Connection, Event,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};
use wahook_failpoint::{self as failpoint, Failpoint};

use crate::{
    broker::{self, Broker, BrokerUri, ConnectError, reconnect_backoff},
    confirms::{Returns, Settled, Verdict},
    link::LinkState,
    local::{self, Command, SharedQueue},
    message::Outgoing,
    topology::Topology,
};

/// Publishes that may wait for the task to take them.
const QUEUED_REQUESTS: usize = 1024;
/// Publishes that may wait for their confirms; more are refused, so that a
/// broker that confirms nothing costs a bounded amount of memory.
const MAX_UNCONFIRMED: usize = 8192;
/// Publishes taken at once before confirms are looked at again.
const TAKE_AT_ONCE: usize = 64;

/// Why a publish is not known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no connection; nothing was sent.
    #[error("the broker is not connected")]
    Disconnected,
    /// An alarm is up at the broker; nothing was sent.
    #[error("the broker blocks publishers (memory or disk alarm)")]
    Blocked,
    /// Too many publishes wait for their confirms; nothing was sent.
    #[error("too many publishes wait for their confirms")]
    Busy,
    /// The connection was lost before the confirm: it may be durable or not.
    #[error("the connection was lost before the confirm")]
    Interrupted,
    /// No confirm within the deadline: it may be durable or not.
    #[error("no confirm within the deadline")]
    TimedOut,
    /// No queue takes this message.
    #[error("no queue is bound for it")]
    Unroutable,
    /// The broker refused it (a full queue, or an internal fault).
    #[error("the broker refused it")]
    Refused,
}

struct Request {
    message: Outgoing,
    done: oneshot::Sender<Result<(), PublishError>>,
}

/// A handle for publishing; clones share one channel.
#[derive(Clone)]
pub struct Publisher {
    way: Way,
    link: watch::Receiver<LinkState>,
    deadline: Duration,
}

/// Where publishes go.
#[derive(Clone)]
enum Way {
    /// To the task that owns the channel, while there is one.
    Channel(watch::Receiver<Option<mpsc::Sender<Request>>>),
    /// To the store within this process.
    Local(SharedQueue),
}

/// The task behind the handles. A store within this process needs none.
pub struct PublisherTask(Option<Running>);

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Starts the task. `deadline` is how long a publish may wait for its
    /// confirm. Connecting goes on in the background, for ever.
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
                    way: Way::Local(queue),
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
                way: Way::Channel(requests),
                link,
                deadline,
            },
            PublisherTask(Some(Running { stop, task })),
        )
    }

    /// The state of the connection, to watch.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<LinkState> {
        self.link.clone()
    }

    /// Publishes and waits for the confirm. `Ok` means: at least one queue has
    /// it, durably.
    pub async fn publish(&self, message: Outgoing) -> Result<(), PublishError> {
        if self.link.borrow().blocked.is_some() {
            return Err(PublishError::Blocked);
        }
        let step = async {
            match &self.way {
                Way::Channel(requests) => request(requests, message).await,
                Way::Local(queue) => local::publish(queue, message).await,
            }
        };
        timeout(self.deadline, step)
            .await
            .unwrap_or(Err(PublishError::TimedOut))
    }

    /// Publishes again and again until the broker has it. The copies that an
    /// ambiguous failure leaves are duplicates with one id.
    pub async fn publish_until_confirmed(&self, message: &Outgoing) {
        let mut backoff = reconnect_backoff();
        while let Err(error) = self.publish(message.clone()).await {
            let pause = backoff.next_backoff().unwrap_or(backoff.max_interval);
            tracing::warn!(%error, id = message.id.as_str(), ?pause, "publish failed, will repeat");
            // A new connection is worth an attempt at once.
            tokio::select! {
                () = sleep(pause) => {}
                () = self.came_up(), if error == PublishError::Disconnected => {}
            }
        }
    }

    async fn came_up(&self) {
        if self.link.clone().wait_for(|link| link.up).await.is_err() {
            // The task is gone for good: only the pause can end.
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
        .send(Request { message, done })
        .await
        .map_err(|_| PublishError::Disconnected)?;
    confirmed.await.unwrap_or(Err(PublishError::Interrupted))
}

impl PublisherTask {
    /// Lets what is in flight be confirmed (for at most `limit`), then says
    /// goodbye to the broker.
    pub async fn close(self, limit: Duration) {
        let Some(running) = self.0 else { return };
        running.stop.send_replace(true);
        if timeout(limit, running.task).await.is_err() {
            tracing::warn!("the publisher did not finish in time");
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
                    tracing::warn!(%error, broker = %self.uri, ?pause, "publishing: cannot connect");
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
        tracing::info!(broker = %self.uri, "publishing: connected");
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
            tracing::warn!(error = %reason, "publishing: connection lost");
        }
        self.link.send_modify(|link| link.lost(reason));
    }
}

/// What one publish ended with, as lapin says it.
struct Done {
    id: String,
    verdict: lapin::Result<Verdict>,
    done: oneshot::Sender<Result<(), PublishError>>,
}

/// The publishes of one connection.
struct Flow<F> {
    /// A clone of a channel itself is some fifteen clones.
    channel: Arc<Channel>,
    in_flight: FuturesUnordered<F>,
    returns: Returns,
}

impl Flow<futures_util::future::BoxFuture<'static, Done>> {
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
                        for _ in 1..TAKE_AT_ONCE {
                            let Ok(request) = requests.try_recv() else { break };
                            self.begin(request);
                        }
                    }
                    None => open = false,
                },
                Some(done) = self.in_flight.next() => self.settle(done)?,
                Some(event) = events.next() => note(event, link)?,
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

    /// Tells everyone whose confirm is here, all together (see [`Returns`]).
    fn settle(&mut self, first: Done) -> lapin::Result<()> {
        let mut ready = vec![first];
        while let Some(Some(done)) = self.in_flight.next().now_or_never() {
            ready.push(done);
        }
        let mut failure = None;
        let mut settled = Vec::with_capacity(ready.len());
        for done in ready {
            match done.verdict {
                Ok(verdict) => settled.push((done.id, verdict, done.done)),
                Err(error) => {
                    let _ = done.done.send(Err(PublishError::Interrupted));
                    failure = Some(error);
                }
            }
        }
        let verdicts = self
            .returns
            .settle(settled.iter().map(|(id, v, _)| (id.as_str(), v)));
        for ((_, _, done), verdict) in settled.into_iter().zip(verdicts) {
            // A requester that gave up at its deadline is no longer there.
            let _ = done.send(match verdict {
                Settled::Confirmed => Ok(()),
                Settled::Refused => Err(PublishError::Refused),
                Settled::Unroutable => Err(PublishError::Unroutable),
            });
        }
        failure.map_or(Ok(()), Err)
    }
}

async fn publish(channel: Arc<Channel>, request: Request) -> Done {
    let Request { message, done } = request;
    let id = message.id.as_str().to_owned();
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let steps = async {
        let (exchange, key) = (message.exchange.into(), message.routing_key.into());
        let confirm = channel
            .basic_publish(exchange, key, options, &message.payload, message.properties)
            .await?;
        failpoint::pass_into(Failpoint::Published);
        confirm.await
    };
    let verdict = steps.await.map(|confirmation| match confirmation {
        Confirmation::Ack(returned) => Verdict::Ack {
            returned: returned_id(returned),
        },
        Confirmation::Nack(returned) => Verdict::Nack {
            returned: returned_id(returned),
        },
        // The channel is in confirm mode; if it were not, nothing is proven.
        Confirmation::NotRequested => Verdict::Nack { returned: None },
    });
    Done { id, verdict, done }
}

fn returned_id(returned: Option<BasicReturnMessage>) -> Option<String> {
    let id = returned?.delivery.properties.message_id().clone();
    Some(id.map(String::from).unwrap_or_default())
}

fn note(event: Event, link: &watch::Sender<LinkState>) -> lapin::Result<()> {
    match event {
        Event::ConnectionBlocked(reason) => {
            tracing::warn!(%reason, "the broker blocks publishers");
            link.send_modify(|link| link.blocked = Some(reason));
        }
        Event::ConnectionUnblocked => {
            tracing::info!("the broker takes messages again");
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
