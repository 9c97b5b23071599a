//! Pause of an endpoint as the API answers it (pure).

use serde::Serialize;
use utoipa::ToSchema;
use wahook_domain::UnixMillis;
use wahook_operator_state::{CircuitPause, Pause};

/// Pause of an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Pause)]
pub(crate) struct PauseShape {
    /// `operator`, or `circuit` for the circuit breakers of consumers
    by: &'static str,
    since: Option<String>,
    /// Reason of the operator, or the last error
    reason: Option<String>,
    /// Time of the next probe by one of the consumers, only with `circuit`
    next_probe_at: Option<String>,
    /// Number of consumers whose circuit breaker has paused the endpoint, only with `circuit`
    consumers: Option<usize>,
}

impl From<Pause> for PauseShape {
    fn from(pause: Pause) -> Self {
        Self {
            by: "operator",
            since: Some(pause.since.to_iso8601()),
            reason: pause.reason.map(|reason| reason.to_string()),
            next_probe_at: None,
            consumers: None,
        }
    }
}

impl PauseShape {
    /// Joins the pauses of one endpoint by the circuit breakers of several consumers: the first
    /// start and probe, and the reason of the last. Returns `None` without one.
    pub(crate) fn by_circuits<'a>(
        pauses: impl Iterator<Item = &'a CircuitPause> + Clone,
    ) -> Option<Self> {
        let last = pauses.clone().max_by_key(|pause| pause.since)?;
        let since = pauses.clone().map(|pause| pause.since).min();
        let next_probe = pauses.clone().map(|pause| pause.next_probe).min();
        Some(Self {
            by: "circuit",
            since: since.map(UnixMillis::to_iso8601),
            reason: Some(last.reason.clone()),
            next_probe_at: next_probe.map(UnixMillis::to_iso8601),
            consumers: Some(pauses.count()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::EndpointName;

    #[test]
    fn pauses_of_several_consumers_are_one_with_the_first_probe_and_the_last_reason() {
        let pause = |since, next_probe, reason: &str| CircuitPause {
            endpoint: EndpointName::default(),
            since: UnixMillis::new(since),
            next_probe: UnixMillis::new(next_probe),
            reason: reason.to_owned(),
        };
        let pauses = [pause(2_000, 7_000, "answered 500"), pause(1_000, 9_000, "")];
        let shape = PauseShape::by_circuits(pauses.iter()).unwrap();
        let shape = serde_json::to_value(shape).unwrap();
        let expected = serde_json::json!({
            "by": "circuit", "since": "1970-01-01T00:00:01.000Z", "reason": "answered 500",
            "nextProbeAt": "1970-01-01T00:00:07.000Z", "consumers": 2,
        });
        assert_eq!(shape, expected);
        assert!(PauseShape::by_circuits([].iter()).is_none());
    }
}
