//! State of one endpoint.

use std::{collections::BTreeMap, fmt};

use wahook_domain::{EndpointName, EventId, UnixMillis};

use crate::PauseReason;

/// What operators have set for an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointState {
    pub endpoint: EndpointName,
    /// Pause in effect, if there is one.
    pub pause: Option<Pause>,
    /// Number of probes that were requested. An increase requests one.
    pub probes: u64,
    /// Events that block their key and were given up, each with its operator.
    pub give_ups: BTreeMap<EventId, String>,
}

/// Pause of an endpoint by an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Operator of the last order to pause.
    pub by: String,
    /// Time of the first order to pause since the last resumption.
    pub since: UnixMillis,
    /// Reason of the last order to pause.
    pub reason: Option<PauseReason>,
}

impl EndpointState {
    /// Creates the state of an endpoint for which nothing is set.
    #[must_use]
    pub const fn initial(endpoint: EndpointName) -> Self {
        Self {
            endpoint,
            pause: None,
            probes: 0,
            give_ups: BTreeMap::new(),
        }
    }
}

impl fmt::Display for Pause {
    /// Writes operator, time and reason, for messages to operators.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, since) = (&self.by, self.since.to_iso8601());
        match &self.reason {
            Some(reason) => write!(f, "by an operator ({by}) since {since}: {reason}"),
            None => write!(f, "by an operator ({by}) since {since}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_pause_names_operator_time_and_reason() {
        let mut pause = Pause {
            by: "ann".to_owned(),
            since: UnixMillis::new(1_000),
            reason: PauseReason::parse("new version").ok(),
        };
        let expected = "by an operator (ann) since 1970-01-01T00:00:01.000Z: new version";
        assert_eq!(pause.to_string(), expected);
        pause.reason = None;
        let expected = "by an operator (ann) since 1970-01-01T00:00:01.000Z";
        assert_eq!(pause.to_string(), expected);
    }
}
