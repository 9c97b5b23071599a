//! Work queues of all endpoints, those included that are no longer configured.
//!
//! AMQP cannot list queues. So consumers register the endpoints that they
//! declare at the broker. A store knows its queues.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use wahook_domain::{EndpointName, EventPattern};

use crate::{
    broker::Broker,
    declaration::Declaration,
    error::PublishError,
    inspector::{LookError, StoreUnreadable},
    local::{self, QueueCensus, Reassignment, SharedQueue},
    rabbitmq::RemoteEndpointQueues,
    topology::endpoint_of,
};

/// Access to the work queues of endpoints.
pub struct EndpointQueues(Backend);

enum Backend {
    RabbitMq(RemoteEndpointQueues),
    Local(SharedQueue),
}

/// Messages of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointQueue {
    /// Messages in the work queue. RabbitMQ does not count those in delivery.
    pub queued: u32,
    /// Messages that wait for a retry; `None` on RabbitMQ, where all endpoints
    /// share the wait queues.
    pub waiting: Option<u32>,
    /// Consumers of the work queue; 0 in a store.
    pub consumers: u32,
    /// True if the process that has the store open, or had it last, serves the
    /// endpoint; `None` on RabbitMQ, where only settings say so.
    pub is_served: Option<bool>,
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

    /// Returns the endpoints that have a queue: on RabbitMQ those of `names`, in a
    /// store all.
    pub async fn census(
        &self,
        names: &BTreeSet<EndpointName>,
    ) -> Result<BTreeMap<EndpointName, EndpointQueue>, LookError> {
        let mut found = BTreeMap::new();
        match &self.0 {
            Backend::RabbitMq(remote) => {
                for name in names {
                    let Some(depth) = remote.depth(name).await? else {
                        continue;
                    };
                    let queue = EndpointQueue {
                        queued: depth.messages,
                        consumers: depth.consumers,
                        ..EndpointQueue::default()
                    };
                    found.insert(name.clone(), queue);
                }
            }
            Backend::Local(queue) => {
                let census = local::census(queue).await.ok_or_else(unreadable)?;
                found.extend(census.into_iter().filter_map(of_endpoint));
            }
        }
        Ok(found)
    }

    /// Removes the bindings that an endpoint has for these patterns, so that no
    /// more events enter its queue. In a store, a queue that is not declared has
    /// none.
    pub async fn unbind(
        &self,
        endpoint: &EndpointName,
        patterns: &[EventPattern],
    ) -> Result<(), LookError> {
        match &self.0 {
            Backend::RabbitMq(remote) => Ok(remote.unbind(endpoint, patterns).await?),
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

fn of_endpoint(census: QueueCensus) -> Option<(EndpointName, EndpointQueue)> {
    let endpoint = endpoint_of(&census.queue)?;
    let queue = EndpointQueue {
        queued: census.queued,
        waiting: Some(census.waiting),
        consumers: 0,
        is_served: Some(census.is_declared),
    };
    Some((endpoint, queue))
}

fn unreadable() -> LookError {
    StoreUnreadable("its queues could not be counted; the log has the reason".to_owned()).into()
}
