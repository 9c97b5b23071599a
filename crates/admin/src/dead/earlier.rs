//! Redrives that an interrupted sweep has made before (interface).

use std::pin::Pin;

use wahook_domain::{EndpointName, EventId};

/// Answer of [`EarlierRedrives`].
pub type Known<'a> = Pin<Box<dyn Future<Output = anyhow::Result<bool>> + Send + 'a>>;

/// Redrives whose dead letters an interruption may have left in the queue.
pub trait EarlierRedrives: Send + Sync {
    /// Returns true if the event is in the queue of the endpoint, or was attempted.
    fn has<'a>(&'a self, event: &'a EventId, endpoint: &'a EndpointName) -> Known<'a>;
}
