//! Names of exchanges and queues.

use wahook_domain::{EndpointName, EventName, WaitStep};

/// Topic exchange of all events; the routing key is made of the event's name.
pub const EVENTS_EXCHANGE: &str = "wahook.events";
/// Direct exchange of known events: it costs the broker a fraction of what a
/// topic exchange does. It has a binding for each of them that an endpoint
/// wants; any other event goes on to [`EVENTS_EXCHANGE`].
pub(super) const KNOWN_EXCHANGE: &str = "wahook.known";
/// Topic exchange that answers whether an event is wanted at all. It has the
/// bindings of all endpoints, to exchanges without queues; events that match
/// none go on to [`UNWANTED`].
pub const FILTERS_EXCHANGE: &str = "wahook.filters";
/// Exchange, and queue of the same name, for queries about events that no
/// endpoint wants. Consumers bind the queue after all their filters, so without
/// a consumer no event counts as unwanted. The queue keeps nothing.
pub const UNWANTED: &str = "wahook.unwanted";
/// Queue of exhausted and undecodable messages, for redrive.
pub const DEAD_QUEUE: &str = "wahook.dead";
/// Queue of results that the log could not store yet, each with its event's
/// body.
pub const RESULTS_QUEUE: &str = "wahook.results";

/// Queue of endpoint declarations: consumers look there for endpoints that are
/// no longer in their settings, because AMQP cannot list queues.
pub const ENDPOINTS_QUEUE: &str = "wahook.endpoints";

/// Prefix of the name of every wait queue.
const WAIT_QUEUE: &str = "wahook.wait.";
/// Prefix of the name of every work queue.
const WORK_QUEUE: &str = "wahook.deliver.";

/// Returns the exchange for the first publish of an event.
pub(crate) fn exchange_of(name: &EventName) -> &'static str {
    match name.known() {
        Some(_) => KNOWN_EXCHANGE,
        None => EVENTS_EXCHANGE,
    }
}

/// Returns the work queue of an endpoint.
#[must_use]
pub fn work_queue(endpoint: &EndpointName) -> String {
    format!("{WORK_QUEUE}{endpoint}")
}

/// Returns the endpoint of a work queue; `None` for any other queue.
#[must_use]
pub fn endpoint_of(queue: &str) -> Option<EndpointName> {
    EndpointName::parse(queue.strip_prefix(WORK_QUEUE)?).ok()
}

/// Returns the target of an endpoint's filters: an exchange without a queue, so
/// that the filters remain where the work queue was deleted.
pub(super) fn filter_exchange(endpoint: &EndpointName) -> String {
    format!("wahook.filter.{endpoint}")
}

/// Returns the exchange, and the queue of the same name, in which messages wait
/// `step`.
#[must_use]
pub fn wait_queue(step: WaitStep) -> String {
    format!("{WAIT_QUEUE}{}", step.millis())
}

/// Returns true if messages wait for a retry in this queue.
#[must_use]
pub fn is_wait_queue(queue: &str) -> bool {
    queue.starts_with(WAIT_QUEUE)
}
