//! Names of the properties and headers of a message.

pub(crate) const MESSAGE_ID: &str = "message_id";
pub(crate) const TYPE: &str = "type";
pub(crate) const VERSION: &str = "x-wahook-version";
pub(crate) const ATTEMPT: &str = "x-attempt";
pub(crate) const FIRST_PUBLISHED: &str = "x-first-published-ms";
pub(crate) const REDRIVEN: &str = "x-redriven-ms";
pub(crate) const REDELIVERY: &str = "x-redelivery";
pub(crate) const EXACT: &str = "x-exact";
pub(crate) const AUTO_REDRIVES: &str = "x-auto-redrives";
pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";
pub(crate) const BAGGAGE: &str = "baggage";
pub(crate) const ORIGIN: &str = "x-origin";
pub(crate) const KEY: &str = "x-key";
pub(crate) const ENDPOINT: &str = "x-endpoint";
pub(crate) const REASON: &str = "x-reason";
pub(crate) const OUTAGE: &str = "x-outage";
pub(crate) const DEAD: &str = "x-dead-ms";
/// State of a message in a parking slot; also marks markers.
pub(crate) const PARKED: &str = "x-parked";
pub(crate) const RESULT: &str = "x-result";
/// Header in which RabbitMQ records its own moves of a message, the latest
/// first.
pub(crate) const DEATHS: &str = "x-death";
