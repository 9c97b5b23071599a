//! Operators' commands on queues and log: dead letters, and the reconciliation of
//! accepted events with their deliveries.

pub mod dead;
pub mod reconcile;
