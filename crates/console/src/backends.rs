//! Log, queues and operators' state that a console reads and acts on.

use std::sync::Arc;

use wahook_delivery_log::{DeliverySearch, LogEraser, LogReader};
use wahook_operator_state::{SharedCircuitReports, SharedJobStore, SharedOperatorState};
use wahook_queue::{Broker, StoredQueues};

/// Log, queues and operators' state.
pub struct Backends {
    /// Searches in the delivery log.
    pub search: Arc<dyn DeliverySearch>,
    /// Deliveries as they end.
    pub reader: Arc<dyn LogReader>,
    pub eraser: Arc<dyn LogEraser>,
    /// Pauses of endpoints, and records of actions.
    pub operator: SharedOperatorState,
    /// Pauses by circuit breakers, as consumers report them.
    pub circuits: SharedCircuitReports,
    /// Jobs, which survive a restart.
    pub jobs: SharedJobStore,
    pub broker: Broker,
    /// Queues of a data file, which are read without taking messages.
    pub stored: Option<Arc<dyn StoredQueues>>,
}
