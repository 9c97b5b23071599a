//! The delivery log against a real MongoDB.

mod availability;
mod broken_line;
mod durability;
mod indexes;
mod orders;
mod payloads;
mod queries;
mod record;
mod refusals;
mod results;
mod server;
