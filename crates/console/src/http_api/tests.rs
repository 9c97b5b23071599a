//! Requests to the router, over a data file in a temporary folder.

mod acting;
mod admission;
mod reading;
mod resending;
mod stage;
