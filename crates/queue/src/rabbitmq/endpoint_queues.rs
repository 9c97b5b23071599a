//! Work queues of endpoints at the broker, configured or not.

use std::collections::BTreeSet;

use wahook_domain::{EndpointName, EventPattern, Lanes};

use super::{
    connection,
    inspector::{RemoteInspector, RemoteLookError},
    registry,
    uri::BrokerUri,
};
use crate::{declaration::Declaration, depth::Depth, topology::Topology};

/// Connection for counting the messages of work queues.
pub(crate) struct RemoteEndpointQueues(RemoteInspector);

impl RemoteEndpointQueues {
    /// Connects once, and declares nothing.
    pub(crate) async fn open(uri: &BrokerUri, name: &str) -> Result<Self, RemoteLookError> {
        RemoteInspector::open(uri, name).await.map(Self)
    }

    /// Adds the declarations that are missing, and returns all.
    pub(crate) async fn register(
        &self,
        declared: &BTreeSet<Declaration>,
    ) -> Result<BTreeSet<Declaration>, RemoteLookError> {
        registry::register(self.0.connection(), declared).await
    }

    /// Returns the depth of a queue; `None` if it does not exist.
    pub(crate) async fn depth(&self, queue: &str) -> Result<Option<Depth>, RemoteLookError> {
        self.0.depth(queue).await
    }

    /// Removes the bindings that an endpoint has for these patterns and lanes.
    pub(crate) async fn unbind(
        &self,
        endpoint: &EndpointName,
        patterns: &[EventPattern],
        lanes: Option<Lanes>,
    ) -> Result<(), RemoteLookError> {
        let unbound = Topology::unbound(endpoint, patterns, lanes);
        Ok(connection::declare(self.0.connection(), &unbound).await?)
    }

    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}
