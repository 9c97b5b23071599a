//! Chapters of the scenario, one for each fault, and the alerts that each must fire.

use std::time::Duration;

use crate::series::Firing;

/// Time limit for events that are certain to happen, on a machine that may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(40);

pub(crate) const CALM_TIME: &str = "no fault";
pub(crate) const FAILS: &str = "the webhook fails for some events";
pub(crate) const POISON: &str = "an invalid message is in the work queue";
pub(crate) const FROZEN: &str = "MongoDB is frozen";
pub(crate) const HANGS: &str = "the webhook accepts requests and does not answer";
pub(crate) const DOWN: &str = "the webhook answers 503 to everything";
pub(crate) const ALARM: &str = "RabbitMQ has a memory alarm";
pub(crate) const KILLED: &str = "all consumers are killed (kill -9)";
pub(crate) const RESTART: &str = "RabbitMQ is killed (kill -9) and restarted";
pub(crate) const BACKLOG: &str = "consumers start with a backlog older than a minute";

/// Alert, its subject (endpoint or job) and the fault that must fire it. No other alert may fire.
pub(crate) const EXPECTED: [(&str, &str, &str); 19] = [
    ("WahookDeliveryBurnFast", "default", FAILS),
    ("WahookDeliveryBurnMedium", "default", FAILS),
    ("WahookDeliveryBurnSlow", "default", FAILS),
    ("WahookDeadLettersGrowing", "", FAILS),
    ("WahookPoisonMessages", "", POISON),
    ("WahookLogUnavailable", "", FROZEN),
    ("WahookResultsBacklog", "", FROZEN),
    ("WahookQueueStalled", "default", HANGS),
    ("WahookEndpointPaused", "default", DOWN),
    ("WahookBrokerBlocked", "", ALARM),
    ("WahookProducerRefusing", "", ALARM),
    ("WahookNoConsumer", "default", KILLED),
    ("WahookTargetsMissing", "wahook-consumer", KILLED),
    ("WahookTargetDown", "wahook-consumer", KILLED),
    ("WahookQueueAge", "default", BACKLOG),
    ("WahookTargetsMissing", "rabbitmq", RESTART),
    ("WahookTargetsMissing", "rabbitmq-detailed", RESTART),
    ("WahookTargetDown", "rabbitmq", RESTART),
    ("WahookTargetDown", "rabbitmq-detailed", RESTART),
];

/// Returns the alerts that a chapter must fire.
pub(crate) fn expected(chapter: &str) -> Vec<Firing> {
    let of_it = EXPECTED.iter().filter(|(_, _, of)| *of == chapter);
    of_it
        .map(|(name, about, _)| Firing::of(name, about))
        .collect()
}
