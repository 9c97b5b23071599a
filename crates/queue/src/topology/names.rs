//! Names of exchanges and queues.

use wahook_domain::{EndpointName, EventName, LaneCount, Lanes, WaitStep};

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
/// Exclusive queue of the consumer that redrives dead letters by itself: the others wait.
pub(crate) const AUTO_REDRIVE_QUEUE: &str = "wahook.auto-redrive";
/// Queue of results that the log could not store yet, each with its event's
/// body.
pub const RESULTS_QUEUE: &str = "wahook.results";
/// Queue of a producer's spool: events that it has accepted while the broker was
/// unavailable.
pub const SPOOL_QUEUE: &str = "wahook.spool";
/// Queue of a spool for messages that are no events.
pub(super) const SPOOL_REJECTED: &str = "wahook.spool.rejected";

/// Queue of endpoint declarations: consumers look there for endpoints that are
/// no longer in their settings, because AMQP cannot list queues.
pub const ENDPOINTS_QUEUE: &str = "wahook.endpoints";
/// Exclusive queue of the program that reads [`ENDPOINTS_QUEUE`]: the others wait.
pub(crate) const ENDPOINTS_LOCK_QUEUE: &str = "wahook.endpoints-lock";

/// Direct exchange of events by the bucket of their key and their name, for endpoints
/// with several lanes; any other event goes on to [`KEYED_EVENTS_EXCHANGE`].
pub(crate) const KEYED_EXCHANGE: &str = "wahook.keyed";
/// Topic exchange of events by the bucket of their key and their name.
pub(super) const KEYED_EVENTS_EXCHANGE: &str = "wahook.keyed.events";
/// Exchange, and queue of the same name, for queries whether producers must publish
/// by key. Consumers bind the queue after all bindings for keys. The queue keeps
/// nothing.
pub(crate) const LANES: &str = "wahook.lanes";

/// Prefix of the name of every wait queue.
const WAIT_QUEUE: &str = "wahook.wait.";
/// Prefix of the name of every work queue, and of the further queues of shared lanes.
const WORK_QUEUE: &str = "wahook.deliver.";
/// Prefix of the name of every lane.
const LANE_QUEUE: &str = "wahook.lane.";
/// Prefix of the name of every parking slot of a lane.
const SLOT_QUEUE: &str = "wahook.park.";
/// Number of parking slots of a lane. A constant of the format: a successor that does
/// not read all of them would break the order of parked events.
pub(super) const SLOTS: u8 = 4;

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
    [WORK_QUEUE, endpoint.as_str()].concat()
}

/// Returns the queue of an endpoint's ordered lane, from 0. The number of lanes is part of
/// the name: another number has other queues, because its lanes have other keys.
#[must_use]
pub fn lane_queue(endpoint: &EndpointName, lanes: LaneCount, lane: u8) -> String {
    format!("{LANE_QUEUE}{lanes}.{lane}.{endpoint}")
}

/// Returns the queues of all ordered lanes of an endpoint.
pub fn lane_queues(endpoint: &EndpointName, lanes: LaneCount) -> impl Iterator<Item = String> + '_ {
    (0..lanes.get()).map(move |lane| lane_queue(endpoint, lanes, lane))
}

/// Returns the queue of a lane that all consumers share, from 0. The first one is the work
/// queue, which receives retries and redriven events as well.
#[must_use]
pub fn shared_queue(endpoint: &EndpointName, lanes: LaneCount, lane: u8) -> String {
    match lane {
        0 => work_queue(endpoint),
        _ => format!("{WORK_QUEUE}{lanes}.{lane}.{endpoint}"),
    }
}

/// Returns the queues of all shared lanes of an endpoint except its work queue.
pub fn further_queues(
    endpoint: &EndpointName,
    lanes: LaneCount,
) -> impl Iterator<Item = String> + '_ {
    (1..lanes.get()).map(move |lane| shared_queue(endpoint, lanes, lane))
}

/// Returns the queue of the lane for the keys in a bucket.
pub(super) fn queue_of_bucket(endpoint: &EndpointName, lanes: Lanes, bucket: u8) -> String {
    let lane = lanes.count().lane_of(bucket);
    match lanes {
        Lanes::Ordered(count) => lane_queue(endpoint, count, lane),
        Lanes::Shared(count) => shared_queue(endpoint, count, lane),
    }
}

/// Returns the queues that an endpoint has for its lanes besides its work queue, those of
/// parking slots included.
#[must_use]
pub fn queues_of_lanes(endpoint: &EndpointName, lanes: Lanes) -> Vec<String> {
    match lanes {
        Lanes::Ordered(count) => ordered_queues(endpoint, count).collect(),
        Lanes::Shared(count) => further_queues(endpoint, count).collect(),
    }
}

/// Returns the queues of a lane's parking slots; none for any other queue.
#[must_use]
pub fn slot_queues(lane: &str) -> Vec<String> {
    let slots_of = |(lanes, lane, endpoint): (LaneCount, u8, &str)| {
        let slot = |slot| format!("{SLOT_QUEUE}{lanes}.{lane}.{slot}.{endpoint}");
        (0..SLOTS).map(slot).collect()
    };
    lane_parts(lane).map(slots_of).unwrap_or_default()
}

/// Returns the queues of all ordered lanes of an endpoint, each followed by its parking slots.
pub(super) fn ordered_queues(
    endpoint: &EndpointName,
    lanes: LaneCount,
) -> impl Iterator<Item = String> + '_ {
    lane_queues(endpoint, lanes).flat_map(|lane| {
        let slots = slot_queues(&lane);
        [lane].into_iter().chain(slots)
    })
}

/// Returns the endpoint of a work queue, of a lane of any kind or of a parking slot; `None` for
/// any other queue.
#[must_use]
pub fn endpoint_of(queue: &str) -> Option<EndpointName> {
    let name = match queue.strip_prefix(WORK_QUEUE) {
        // An endpoint's name has no dot.
        Some(name) if !name.contains('.') => name,
        Some(name) => parts_of(name).filter(|(_, lane, _)| *lane > 0)?.2,
        None => lane_parts(queue).or_else(|| slot_parts(queue))?.2,
    };
    EndpointName::parse(name).ok()
}

/// Returns true if the queue is an ordered lane, of any number of lanes, or a parking slot: it has a
/// single active consumer.
#[must_use]
pub fn is_lane(queue: &str) -> bool {
    lane_parts(queue).or_else(|| slot_parts(queue)).is_some()
}

/// Returns the number of lanes, the lane and the endpoint's name in the name of a lane.
fn lane_parts(queue: &str) -> Option<(LaneCount, u8, &str)> {
    parts_of(queue.strip_prefix(LANE_QUEUE)?)
}

/// Returns the number of lanes, the lane and the endpoint's name in the name of a slot.
fn slot_parts(queue: &str) -> Option<(LaneCount, u8, &str)> {
    let (lanes, lane, rest) = parts_of(queue.strip_prefix(SLOT_QUEUE)?)?;
    let (slot, endpoint) = rest.split_once('.')?;
    (slot.parse::<u8>().ok()? < SLOTS).then_some((lanes, lane, endpoint))
}

/// Splits `N.I.rest`, where lane I is one of N.
fn parts_of(name: &str) -> Option<(LaneCount, u8, &str)> {
    let (lanes, rest) = name.split_once('.')?;
    let (lane, rest) = rest.split_once('.')?;
    let lanes: LaneCount = lanes.parse().ok()?;
    let lane: u8 = lane.parse().ok()?;
    (lane < lanes.get()).then_some((lanes, lane, rest))
}

/// Returns the target of an endpoint's filters: an exchange without a queue, so
/// that the filters remain where the work queue was deleted.
pub(super) fn filter_exchange(endpoint: &EndpointName) -> String {
    format!("wahook.filter.{endpoint}")
}

/// Returns the exchange of one known event, for the queues that receive all its keys.
pub(super) fn event_exchange(event: &EventName) -> String {
    format!("wahook.event.{event}")
}

/// Returns the exchange, and the queue of the same name, in which messages wait
/// `step`.
#[must_use]
pub fn wait_queue(step: WaitStep) -> String {
    [WAIT_QUEUE, &step.millis().to_string()].concat()
}

/// Returns true if messages wait for a retry in this queue.
#[must_use]
pub fn is_wait_queue(queue: &str) -> bool {
    queue.starts_with(WAIT_QUEUE)
}

#[cfg(test)]
mod tests;
