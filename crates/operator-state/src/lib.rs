//! State that operators set while programs run: pauses of endpoints, requests for probes, jobs,
//! and the record of all actions of operators; and pauses by circuit breakers, which consumers
//! report. This crate contains the interface and its types;
//! other crates implement them in the database of the delivery log.
//!
//! Consumers read the state once a second, so an order is in effect on all of them within 2 s.
//! No delivery waits for it.

mod action;
mod circuit_pause;
mod endpoint_state;
mod job;
mod job_store;
mod order;
mod pause_reason;
mod store;

pub use action::Action;
pub use circuit_pause::{CircuitPause, CircuitReport, CircuitReports, SharedCircuitReports};
pub use endpoint_state::{EndpointState, Pause};
pub use job::{
    ClaimedJob, EndState, Hold, ITEMS_AT_ONCE, JOB_LEASE, Job, JobEnd, JobReport, MOST_ENDED_JOBS,
    MOST_RUNNING_JOBS, NewJob, Next, Progress,
};
pub use job_store::{JobStore, JobWork, SharedJobStore};
pub use order::{Order, Request};
pub use pause_reason::{InvalidReason, PauseReason};
pub use store::{OperatorState, SharedOperatorState};
