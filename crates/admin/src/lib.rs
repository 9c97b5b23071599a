//! Operators' commands on queues and log: dead letters, endpoints that were removed, and
//! the reconciliation of accepted events with their deliveries.

pub mod dead;
pub mod endpoints;
mod publishing;
pub mod reconcile;
