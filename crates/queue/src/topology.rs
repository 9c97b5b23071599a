//! Exchanges, queues and bindings as data, and routing by them.
//!
//! Names carry every value that could differ between two settings (the delay of
//! a wait queue is in its name), so two programs never declare the same name
//! with other arguments.

mod endpoint;
mod keyed;
mod model;
mod names;
mod removal;
mod route;
mod routing;

pub use endpoint::LANE_PREFETCH;
pub(crate) use keyed::keyed;
pub use model::Topology;
pub(crate) use model::{Argument, Binding, Exchange, Kind, Queue, Target};
pub(crate) use names::{
    AUTO_REDRIVE_QUEUE, ENDPOINTS_LOCK_QUEUE, KEYED_EXCHANGE, LANES, exchange_of,
};
pub use names::{
    DEAD_QUEUE, ENDPOINTS_QUEUE, EVENTS_EXCHANGE, FILTERS_EXCHANGE, RESULTS_QUEUE, SPOOL_QUEUE,
    UNWANTED, endpoint_of, further_queues, is_lane, is_wait_queue, lane_queue, lane_queues,
    queues_of_lanes, shared_queue, slot_queues, wait_queue, work_queue,
};
pub use route::QueueRules;
pub(crate) use routing::routing_key;
