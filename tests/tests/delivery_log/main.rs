//! Tests of the delivery log on a real MongoDB.

mod availability;
mod broken_connection;
mod durability;
mod indexes;
mod orders;
mod payloads;
mod queries;
mod record;
mod refusals;
mod results;
mod roles;
mod server;
