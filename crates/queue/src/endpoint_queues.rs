//! Work queues of all endpoints, those included that are no longer configured.
//!
//! AMQP cannot list queues. So consumers register the endpoints that they
//! declare at the broker. A store knows its queues.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::time::Instant;
use wahook_domain::{EndpointName, EventPattern, Lanes, UnixMillis};

use crate::{
    absent_queues::AbsentQueues,
    broker::Broker,
    declaration::Declaration,
    depth::Depth,
    error::PublishError,
    inspector::{LookError, StoreUnreadable},
    local::{self, QueueCensus, Reassignment, SharedQueue},
    rabbitmq::RemoteEndpointQueues,
    topology::{endpoint_of, is_lane, queues_of_lanes, work_queue},
};

/// Access to the work queues of endpoints.
pub struct EndpointQueues(Backend);

enum Backend {
    RabbitMq(RemoteEndpointQueues),
    Local(SharedQueue),
}

/// Messages of one endpoint, in its work queue and lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointQueue {
    /// Messages in its queues. RabbitMQ does not count those in delivery.
    pub queued: u32,
    /// Messages that wait for a retry; `None` on RabbitMQ, where all endpoints
    /// share the wait queues.
    pub waiting: Option<u32>,
    /// Acceptance of the oldest event; `None` without one, and on RabbitMQ, where only taking
    /// a message would show it.
    pub oldest: Option<UnixMillis>,
    /// Consumers of the queue that has most; 0 in a store.
    pub consumers: u32,
    /// True if the process that has the store open, or had it last, serves the
    /// endpoint; `None` on RabbitMQ, where only settings say so.
    pub is_served: Option<bool>,
    /// True if the endpoint has or had an order, so that it has ordered lanes. A store has a lane for
    /// each endpoint: true there while the lane holds messages.
    pub is_ordered: bool,
}

impl EndpointQueue {
    /// Returns the number of messages, waiting ones included where known.
    #[must_use]
    pub fn messages(&self) -> u32 {
        self.queued.saturating_add(self.waiting.unwrap_or_default())
    }
}

impl EndpointQueues {
    /// Connects once, and declares nothing.
    pub async fn open(broker: &Broker, name: &str) -> Result<Self, LookError> {
        Ok(Self(match broker {
            Broker::RabbitMq(uri) => {
                Backend::RabbitMq(RemoteEndpointQueues::open(uri, name).await?)
            }
            Broker::Local(queue) => Backend::Local(Arc::clone(queue)),
        }))
    }

    /// Registers the endpoints of a consumer, and returns all that are
    /// registered. A store needs no registry, and returns none.
    pub async fn register(
        &self,
        declared: &BTreeSet<Declaration>,
    ) -> Result<BTreeSet<Declaration>, LookError> {
        match &self.0 {
            Backend::RabbitMq(remote) => Ok(remote.register(declared).await?),
            Backend::Local(_) => Ok(BTreeSet::new()),
        }
    }

    /// Returns the endpoints that have a queue: on RabbitMQ those of `names`, with the
    /// lanes that `known` declares, in a store all. Queues of `absent` are not looked for
    /// unless they may exist now, and those that are not found are added to it.
    pub async fn census(
        &self,
        names: &BTreeSet<EndpointName>,
        known: &BTreeSet<Declaration>,
        absent: &mut AbsentQueues,
    ) -> Result<BTreeMap<EndpointName, EndpointQueue>, LookError> {
        let mut found = BTreeMap::new();
        match &self.0 {
            Backend::RabbitMq(remote) => {
                absent.forget_outdated(known, Instant::now());
                for (name, queue) in queues_of(names, known) {
                    if absent.contains(&queue) {
                        continue;
                    }
                    let Some(depth) = remote.depth(&queue).await? else {
                        absent.add(queue);
                        continue;
                    };
                    let queue_of = EndpointQueue {
                        is_ordered: is_lane(&queue),
                        ..EndpointQueue::from(depth)
                    };
                    add(&mut found, name, queue_of);
                }
            }
            Backend::Local(queue) => {
                let census = local::census(queue).await.ok_or_else(unreadable)?;
                for (name, queue) in census.into_iter().filter_map(of_endpoint) {
                    add(&mut found, name, queue);
                }
            }
        }
        Ok(found)
    }

    /// Removes the bindings that an endpoint has for these patterns and lanes, so that
    /// no more events enter its queues. In a store, a queue that is not declared has
    /// none.
    pub async fn unbind(
        &self,
        endpoint: &EndpointName,
        patterns: &[EventPattern],
        lanes: Option<Lanes>,
    ) -> Result<(), LookError> {
        match &self.0 {
            Backend::RabbitMq(remote) => Ok(remote.unbind(endpoint, patterns, lanes).await?),
            Backend::Local(_) => Ok(()),
        }
    }

    /// Moves messages within a store, in one transaction; returns their number, 0
    /// after the last one. At RabbitMQ messages are taken and published instead.
    pub async fn reassign(&self, reassignment: Reassignment) -> Result<u32, PublishError> {
        match &self.0 {
            Backend::RabbitMq(_) => Err(PublishError::Refused),
            Backend::Local(queue) => local::reassign(queue, reassignment).await,
        }
    }

    pub async fn close(self) {
        if let Backend::RabbitMq(remote) = self.0 {
            remote.close().await;
        }
    }
}

impl From<Depth> for EndpointQueue {
    fn from(depth: Depth) -> Self {
        Self {
            queued: depth.messages,
            consumers: depth.consumers,
            ..Self::default()
        }
    }
}

/// Returns the work queues of endpoints, and the lanes that consumers registered.
fn queues_of<'a>(
    names: &'a BTreeSet<EndpointName>,
    known: &'a BTreeSet<Declaration>,
) -> impl Iterator<Item = (&'a EndpointName, String)> {
    let declared = known.iter().filter_map(|d| Some((&d.endpoint, d.lanes?)));
    let declared: BTreeSet<_> = declared.collect();
    let lanes = declared
        .into_iter()
        .filter(|(name, _)| names.contains(*name))
        .flat_map(|(name, lanes)| {
            let queues = queues_of_lanes(name, lanes).into_iter();
            queues.map(move |queue| (name, queue))
        });
    let work = names.iter().map(|name| (name, work_queue(name)));
    work.chain(lanes.collect::<Vec<_>>())
}

/// Adds a queue to the other ones of its endpoint.
fn add(
    found: &mut BTreeMap<EndpointName, EndpointQueue>,
    name: impl Borrow<EndpointName>,
    queue: EndpointQueue,
) {
    let sum = found.entry(name.borrow().clone()).or_insert(EndpointQueue {
        is_served: queue.is_served,
        ..EndpointQueue::default()
    });
    sum.queued = sum.queued.saturating_add(queue.queued);
    sum.consumers = sum.consumers.max(queue.consumers);
    if let Some(waiting) = queue.waiting {
        sum.waiting = Some(sum.waiting.unwrap_or_default().saturating_add(waiting));
    }
    sum.oldest = [sum.oldest, queue.oldest].into_iter().flatten().min();
    sum.is_ordered |= queue.is_ordered;
    if queue.is_served == Some(true) {
        sum.is_served = queue.is_served;
    }
}

fn of_endpoint(census: QueueCensus) -> Option<(EndpointName, EndpointQueue)> {
    let endpoint = endpoint_of(&census.queue)?;
    let queue = EndpointQueue {
        queued: census.queued,
        waiting: Some(census.waiting),
        oldest: census.oldest,
        consumers: 0,
        is_served: Some(census.is_declared),
        is_ordered: is_lane(&census.queue) && census.queued > 0,
    };
    Some((endpoint, queue))
}

fn unreadable() -> LookError {
    StoreUnreadable("its queues could not be counted; the log has the reason".to_owned()).into()
}
