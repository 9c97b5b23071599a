//! Console: a page and an API that show every delivery and act on it. It reads the delivery
//! log and the queues, and is never in the path of a delivery.

mod access;
mod attempts;
mod audit;
mod backends;
mod claimed;
mod console;
mod dead_letters;
mod deliveries;
#[cfg(feature = "mongodb")]
mod distributed;
mod earlier_claims;
mod endpoints;
mod erasures;
mod failure;
#[cfg(test)]
mod fake;
mod gate;
mod give_ups;
mod http_api;
mod job_runner;
mod jobs;
mod jobs_api;
mod letter;
mod letter_filter;
mod letter_job;
mod letter_jobs;
mod live;
mod live_filter;
mod live_poll;
mod log;
mod openapi;
mod orders;
mod page;
mod pause_shape;
mod query;
mod queues;
mod redeliveries;
mod redelivery_job;
mod redelivery_order;
mod refusals;
mod request_body;
mod resend;
mod sent;
mod session;
mod session_key;
mod settings;
mod shape;
mod stats;
mod test_event;
mod user;

pub use backends::Backends;
pub use console::Console;
#[cfg(feature = "mongodb")]
pub use distributed::{DistributedSettings, PROGRAM_SETTINGS, run};
pub use settings::{CONSOLE_LISTEN, ConsoleSettings, SETTINGS};
