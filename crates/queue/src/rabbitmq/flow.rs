//! Publishes in flight on one channel, and their confirms.

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, Event, message::BasicReturnMessage,
    options::BasicPublishOptions, types::ShortString,
};
use std::sync::Arc;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval},
};
use wahook_domain::{EventId, LinkState};
use wahook_failpoint::{self as failpoint, Failpoint};

use super::{
    confirms::{RawConfirm, Resolution, Returns},
    silence::{CHECK_EVERY, Silence},
};
use crate::error::PublishError;

/// Limit of unconfirmed publishes. Further ones are refused, so that a broker
/// that confirms nothing costs a bounded amount of memory.
const MAX_UNCONFIRMED: usize = 8192;
/// Publishes started together before confirms are processed again.
const MAX_BURST: usize = 64;

/// Publish that waits for the task.
pub(super) struct Request {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) payload: Bytes,
    pub(super) id: Option<EventId>,
    /// Part of a sequence, none of which may be refused alone. Callers bound their number.
    pub(super) is_ordered: bool,
    pub(super) done: oneshot::Sender<Result<(), PublishError>>,
}

/// Finished publish, with lapin's result.
struct FinishedPublish {
    id: Option<EventId>,
    confirm: lapin::Result<RawConfirm>,
    done: oneshot::Sender<Result<(), PublishError>>,
}

/// Publishes of one connection.
pub(super) struct Flow {
    /// In an `Arc`, because cloning a `Channel` costs some fifteen clones.
    channel: Arc<Channel>,
    in_flight: FuturesUnordered<BoxFuture<'static, FinishedPublish>>,
    returns: Returns,
    /// `None` if the broker's address has no other server, by a host of its own or by the
    /// same name.
    silence: Option<Silence>,
}

impl Flow {
    pub(super) fn new(channel: &Channel, has_others: bool) -> Self {
        Self {
            channel: Arc::new(channel.clone()),
            in_flight: FuturesUnordered::new(),
            returns: Returns::default(),
            silence: has_others.then(Silence::default),
        }
    }

    pub(super) async fn run(
        &mut self,
        mut requests: mpsc::Receiver<Request>,
        events: impl Stream<Item = Event>,
        link: &watch::Sender<LinkState>,
        stopped: &mut watch::Receiver<bool>,
        handles: &watch::Sender<Option<mpsc::Sender<Request>>>,
    ) -> lapin::Result<()> {
        let mut events = std::pin::pin!(events);
        let mut checks = interval(CHECK_EVERY);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                _ = checks.tick(), if self.silence.is_some() => self.check_silence(link)?,
                _ = stopped.wait_for(|stop| *stop), if open => {
                    handles.send_replace(None);
                    // Or what waits for the connection would try again without a pause.
                    link.send_modify(|link| link.lost("stopping".into()));
                    requests.close();
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, request: Request) {
        if self.in_flight.len() >= MAX_UNCONFIRMED && !request.is_ordered {
            let _ = request.done.send(Err(PublishError::Busy));
        } else {
            self.in_flight
                .push(publish(Arc::clone(&self.channel), request).boxed());
        }
    }

    /// Fails if the server has confirmed nothing for too long. An alarm is no reason.
    fn check_silence(&mut self, link: &watch::Sender<LinkState>) -> lapin::Result<()> {
        let is_waiting = !self.in_flight.is_empty() && link.borrow().blocked.is_none();
        if let Some(silence) = &mut self.silence {
            silence.check(is_waiting)?;
        }
        Ok(())
    }

    /// Answers all publishes whose confirms are ready, together (see
    /// [`Returns`]).
    fn resolve(&mut self, first: FinishedPublish) -> lapin::Result<()> {
        if let Some(silence) = &mut self.silence {
            silence.confirmed();
        }
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
                    // The first one has the broker's reason.
                    failure.get_or_insert(error);
                }
            }
        }
        let resolutions = self.returns.resolve(
            resolved
                .iter()
                .map(|(id, v, _)| (id.as_ref().map_or("", EventId::as_str), v)),
        );
        for ((_, _, done), resolution) in resolved.into_iter().zip(resolutions) {
            // The send fails if the caller's deadline has passed.
            let _ = done.send(match resolution {
                Resolution::Confirmed => Ok(()),
                Resolution::Refused => Err(PublishError::Refused),
                Resolution::Unroutable => Err(PublishError::Unroutable),
                Resolution::Undecided => Err(PublishError::Undecided),
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
        ..
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
