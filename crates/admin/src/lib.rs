//! Operators' commands on queues and log: dead letters, endpoints that were removed, the
//! erasure of a person's data, and the reconciliation of accepted events with their deliveries.

pub mod auto_redrive;
pub mod dead;
pub mod endpoints;
pub mod erase;
mod operator;
mod publishing;
pub mod reconcile;
