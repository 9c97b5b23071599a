//! Endpoints file of the run, and the queues that follow from it.

use std::net::SocketAddr;

use wahook_tests::pair::SECRET;

use crate::arrivals::Endpoint;

/// Lanes of the ordered endpoint.
const LANES: u32 = 4;
const RETRIES: u32 = 3;
/// First delay of a retry, in milliseconds.
const RETRY_DELAY: u32 = 200;

/// Returns the endpoints file. Each change has other timeouts, concurrency and headers.
pub(crate) fn file(receiver: SocketAddr, change: u32) -> String {
    let concurrency = if change.is_multiple_of(2) { 64 } else { 48 };
    let timeout = 10_000 + change % 2 * 1_000;
    let common = format!(
        "secret = \"{SECRET}\"\n\
         retry_attempts = {RETRIES}\n\
         retry_delay = {RETRY_DELAY}\n\
         timeout = {timeout}\n\
         concurrency = {concurrency}\n\
         headers = {{ \"X-Change\" = \"{change}\" }}\n"
    );
    let table = |endpoint: Endpoint, order: &str| {
        let name = endpoint.name();
        format!(
            "[[endpoint]]\nname = \"{name}\"\nurl = \"http://{receiver}/{name}\"\n{order}{common}\n"
        )
    };
    let order = format!("order = \"chat\"\nlanes = {LANES}\n");
    table(Endpoint::Plain, "") + &table(Endpoint::Ordered, &order)
}

/// Returns the queue of the endpoint without order.
pub(crate) fn work_queue() -> String {
    format!("wahook.deliver.{}", Endpoint::Plain.name())
}

/// Returns the lanes of the ordered endpoint.
pub(crate) fn lanes() -> impl Iterator<Item = String> {
    let name = Endpoint::Ordered.name();
    (0..LANES).map(move |lane| format!("wahook.lane.{LANES}.{lane}.{name}"))
}

/// Returns the wait queues of both endpoints.
pub(crate) fn wait_queues() -> impl Iterator<Item = String> {
    (0..RETRIES).map(|retry| format!("wahook.wait.{}", RETRY_DELAY << retry))
}
