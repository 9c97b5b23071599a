//! Interface of the store of operators' state.

use std::sync::Arc;

use wahook_delivery_log::LogFuture;

use crate::{Action, EndpointState, Order};

/// Store that all its users share.
pub type SharedOperatorState = Arc<dyn OperatorState>;

/// Store of operators' state in the database of the delivery log, implemented for MongoDB and
/// for the data file. Writes are durable before they return.
pub trait OperatorState: Send + Sync + 'static {
    /// Returns the state of all endpoints for which an order was given.
    fn endpoints(&self) -> LogFuture<'_, Vec<EndpointState>>;

    /// Records an order and puts it into effect. Returns the state of its endpoint.
    fn order<'a>(&'a self, order: &'a Order) -> LogFuture<'a, EndpointState>;

    /// Records another action of an operator.
    fn record<'a>(&'a self, action: &'a Action) -> LogFuture<'a, ()>;

    /// Returns the newest actions, newest first, at most `limit`.
    fn actions(&self, limit: u32) -> LogFuture<'_, Vec<Action>>;
}
